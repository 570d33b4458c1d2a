package codec

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// TestAcceptedTypesAreCarried makes up types, and values of those that Check
// accepts: all of them must come back as they were. The types are the same in
// every run.
func TestAcceptedTypesAreCarried(t *testing.T) {
	for _, c := range []Codec{MsgPack, JSON} {
		r := typeMaker{rand.New(rand.NewPCG(1, 2))}
		accepted := 0
		for range 4000 {
			typ := r.typ(4)
			if Check(c, typ) != nil {
				continue
			}
			accepted++
			for range 5 {
				in := reflect.New(typ)
				r.fill(in.Elem(), 6)
				data, err := Encode(c, nil, in.Interface())
				out := reflect.New(typ)
				if err == nil {
					err = Decode(c, data, out.Interface())
				}
				if err != nil || !same(in.Elem().Interface(), out.Elem().Interface()) {
					t.Fatalf("%s: %v\nwent in  %+v\ncame out %+v\n%v", c.Name(), typ, in.Elem(), out.Elem(), err)
				}
				if byValue, err := Encode(c, nil, in.Elem().Interface()); err != nil || len(byValue) != len(data) {
					t.Fatalf("%s: %v by value: %v", c.Name(), typ, err)
				}
			}
		}
		if accepted < 1000 {
			t.Errorf("%s: only %d of the types were accepted", c.Name(), accepted)
		}
	}
}

type typeMaker struct{ *rand.Rand }

var leafTypes = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[octet](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](), reflect.TypeFor[status](), reflect.TypeFor[byAddr](),
	reflect.TypeFor[netip.Addr](), reflect.TypeFor[list](), reflect.TypeFor[tree](), reflect.TypeFor[customer](), reflect.TypeFor[struct{}](),
	reflect.TypeFor[any](), reflect.TypeFor[complex64](), reflect.TypeFor[Hidden](), reflect.TypeFor[onlyMarshals](), reflect.TypeFor[twoWays](),
}

func (r typeMaker) typ(depth int) reflect.Type {
	if depth == 0 {
		return leafTypes[r.IntN(len(leafTypes))]
	}
	switch r.IntN(9) {
	case 0:
		return reflect.PointerTo(r.typ(depth - 1))
	case 1:
		return reflect.SliceOf(r.typ(depth - 1))
	case 2:
		return reflect.ArrayOf(r.IntN(4), r.typ(depth-1))
	case 3:
		if key := r.typ(depth - 1); key.Comparable() {
			return reflect.MapOf(key, r.typ(depth-1))
		}
	case 4, 5:
		return r.structType(depth)
	}
	return leafTypes[r.IntN(len(leafTypes))]
}

func (r typeMaker) structType(depth int) reflect.Type {
	var fields []reflect.StructField
	if r.IntN(6) == 0 {
		fields = append(fields, reflect.StructField{Name: "_msgpack", PkgPath: "p", Type: reflect.TypeFor[struct{}](), Tag: `msgpack:",as_array"`})
	}
	if r.IntN(4) == 0 {
		embedded := []reflect.Type{reflect.TypeFor[Base](), reflect.TypeFor[Middle](), reflect.TypeFor[Nest]()}[r.IntN(3)]
		fields = append(fields, reflect.StructField{Name: embedded.Name(), Anonymous: true, Type: embedded})
	}
	tags := []reflect.StructTag{"", "", "", `msgpack:"X" json:"X"`, `msgpack:"ID" json:"ID"`, `msgpack:",intern" json:",string"`, `msgpack:"a,alias:b"`}
	for i := range r.IntN(4) {
		fields = append(fields, reflect.StructField{Name: fmt.Sprint("F", i), Type: r.typ(depth - 1), Tag: tags[r.IntN(len(tags))]})
	}
	return reflect.StructOf(fields)
}

// fill sets v to something random: now and then nil, empty, or an extreme.
func (r typeMaker) fill(v reflect.Value, depth int) {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = time.Unix(r.Int64N(1<<36)-1<<35, r.Int64N(1e9))
		return
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{10, 0, 0, byte(r.Uint32())})
		return
	case *byAddr:
		p.hidden = r.text()
		return
	case *Middle:
		*p = Middle{Inner{A: 1, B: r.Int()}, r.Int()} // C is not encoded
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(r.number())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint(uint64(r.number()))
	case reflect.Float32:
		v.SetFloat(float64(float32(r.NormFloat64())))
	case reflect.Float64:
		v.SetFloat(r.NormFloat64())
	case reflect.String:
		v.SetString(r.text())
	case reflect.Pointer:
		if depth > 0 && r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			r.fill(v.Elem(), depth-1)
		}
	case reflect.Slice:
		if depth > 0 && r.IntN(4) > 0 {
			v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		}
		r.fillElements(v, depth)
	case reflect.Array:
		r.fillElements(v, depth)
	case reflect.Map:
		if depth > 0 && r.IntN(4) > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range r.IntN(4) {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				r.fill(key, depth-1)
				r.fill(value, depth-1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				r.fill(v.Field(i), depth-1)
			}
		}
	}
}

func (r typeMaker) fillElements(v reflect.Value, depth int) {
	for i := range v.Len() {
		r.fill(v.Index(i), depth-1)
	}
}

func (r typeMaker) number() int64 {
	return int64(r.Uint64()) >> r.IntN(64)
}

func (r typeMaker) text() string {
	const letters = "ab\x00\"<é世k:"
	s := []rune(letters)
	out := make([]rune, r.IntN(8)*r.IntN(8))
	for i := range out {
		out[i] = s[r.IntN(len(s))]
	}
	return string(out)
}
