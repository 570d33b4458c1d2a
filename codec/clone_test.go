package codec

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCloneIsEqual(t *testing.T) {
	for _, wrap := range []func(Codec) Codec{func(c Codec) Codec { return c }, func(c Codec) Codec { return Compress(c) }} {
		o, j := fullOrder(), jsonOrder()
		checkClone(t, wrap(MsgPack), o)
		checkClone(t, wrap(MsgPack), &o)
		checkClone(t, wrap(JSON), j)
		checkClone(t, wrap(JSON), &j)
		checkClone(t, wrap(MsgPack), tree{Name: "t", Children: []tree{{Name: "c"}}})
		checkClone(t, wrap(MsgPack), (*order)(nil))
		checkClone(t, wrap(MsgPack), []line(nil))
		checkClone(t, wrap(MsgPack), []line{})
		checkClone(t, wrap(JSON), map[string]int{"a": 1})
		checkClone(t, wrap(JSON), map[string]int(nil))
		checkClone(t, wrap(Raw), []byte("bytes"))
		checkClone(t, wrap(Raw), "text")
		checkClone(t, wrap(MsgPack), instant)
		checkClone(t, wrap(MsgPack), byAddr{"x"})
	}
}

func checkClone[V any](t *testing.T, c Codec, v V) {
	t.Helper()
	clone, err := Cloner[V](c)
	if err != nil {
		t.Errorf("Cloner of %T: %v", v, err)
		return
	}
	if out := clone(v); !same(v, out) {
		t.Errorf("%s: the clone is %+v, want %+v", c.Name(), out, v)
	}
	if out, err := Clone(c, v); err != nil || !same(v, out) {
		t.Errorf("%s: Clone = %+v, %v; want %+v", c.Name(), out, err, v)
	}
}

// TestCloneSharesNothing: every pointer, slice and map of the clone is another.
func TestCloneSharesNothing(t *testing.T) {
	in := fullOrder()
	for _, c := range []Codec{MsgPack, JSON, Compress(MsgPack)} {
		clone, err := Cloner[*order](c)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uintptr]string{}
		references(reflect.ValueOf(&in), "order", func(at uintptr, path string) { seen[at] = path })
		references(reflect.ValueOf(clone(&in)), "order", func(at uintptr, path string) {
			if other, ok := seen[at]; ok {
				t.Errorf("%s: %s is shared with %s", c.Name(), path, other)
			}
		})
		if len(seen) < 10 {
			t.Errorf("only %d references were looked at", len(seen))
		}
	}
}

// references goes through all memory that v refers to, but for times and texts,
// which nobody can change, and empty things, which have nothing to change.
func references(v reflect.Value, path string, found func(at uintptr, path string)) {
	if v.Type() == timeType {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			found(v.Pointer(), path)
			references(v.Elem(), path, found)
		}
	case reflect.Slice:
		if v.Len() > 0 {
			found(v.Pointer(), path)
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			references(v.Index(i), path+"[]", found)
		}
	case reflect.Map:
		if !v.IsNil() {
			found(v.Pointer(), path)
		}
		for iter := v.MapRange(); iter.Next(); {
			references(iter.Value(), path+"[]", found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			references(v.Field(i), path+"."+v.Type().Field(i).Name, found)
		}
	}
}

// TestCloneByAssignment: such values keep even what no codec carries.
func TestCloneByAssignment(t *testing.T) {
	type flat struct {
		N      int
		secret string
		At     time.Time
		F      [2]complex64
	}
	in := flat{1, "s", time.Now(), [2]complex64{1i}}
	clone, err := Cloner[flat](MsgPack)
	if err != nil {
		t.Fatal(err)
	}
	if out := clone(in); out != in {
		t.Errorf("got %+v, want %+v", out, in)
	}
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[string]():             true,
		reflect.TypeFor[[3]line]():            true,
		reflect.TypeFor[*int]():               false,
		reflect.TypeFor[[1]*int]():            false,
		reflect.TypeFor[customer]():           false,
		reflect.TypeFor[[]byte]():             false,
		reflect.TypeFor[map[int]int]():        false,
		reflect.TypeFor[netip.Addr]():         false, // it has a pointer, to what cannot change; nobody can tell
		reflect.TypeFor[struct{ V any }]():    false,
		reflect.TypeFor[chan int]():           false,
		reflect.TypeFor[struct{ f func() }](): false,
	} {
		if copiesByAssignment(typ) != want {
			t.Errorf("copiesByAssignment(%v) = %v", typ, !want)
		}
	}
}

func TestClonerRefuses(t *testing.T) {
	checkRefused[map[string]any](t, MsgPack, "codec: cloner of map[string]interface {}: codec: msgpack cannot carry map[string]interface {}[] faithfully")
	checkRefused[[]Hidden](t, JSON, "codec: cloner of []codec.Hidden: codec: json cannot carry []codec.Hidden[].secret faithfully")
	checkRefused[[]int](t, Raw, "codec: cloner of []int: codec: raw cannot carry []int faithfully")
	checkRefused[[]any](t, Compress(MsgPack), "codec: cloner of []interface {}: codec: msgpack cannot carry")
	checkRefused[[]byte](t, Compress(Raw, WithLimit(0)), "codec: cloner of []uint8: codec: compress: the limit is 0")
	checkRefused[[]byte](t, nil, "codec: cloner of []uint8: the codec is nil")
	checkRefused[int](t, nil, "codec: cloner of int: the codec is nil")
}

func checkRefused[V any](t *testing.T, c Codec, want string) {
	t.Helper()
	clone, err := Cloner[V](c)
	if !errors.Is(err, ErrInvalidOption) || clone != nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Cloner = %v, want %s, which is an ErrInvalidOption", err, want)
	}
}

// TestCloneFailure: what the codec cannot carry after all is neither shared nor
// replaced by nothing.
func TestCloneFailure(t *testing.T) {
	cyclic := &list{}
	cyclic.Next = cyclic
	checkCloneFails(t, MsgPack, cyclic, errTooDeep)
	checkCloneFails(t, JSON, &list{Next: cyclic}, nil)
	checkCloneFails(t, JSON, []float64{nan}, nil)
	checkCloneFails(t, MsgPack, []grenade{{}}, errPin)

	if out, err := Clone(nil, "text"); err == nil || out != "" {
		t.Errorf("Clone = %q, %v", out, err)
	}
	if out, err := Clone(Compress(Raw, WithLimit(0)), "text"); err == nil || out != "" {
		t.Errorf("Clone = %q, %v", out, err)
	}
}

func checkCloneFails[V any](t *testing.T, c Codec, v V, cause error) {
	t.Helper()
	out, err := Clone(c, v)
	if err == nil || cause != nil && !errors.Is(err, cause) {
		t.Errorf("%s: Clone of %T: %v, want an error, around %v", c.Name(), v, err, cause)
	}
	if !reflect.ValueOf(&out).Elem().IsZero() {
		t.Errorf("%s: Clone of %T returns %+v with its error", c.Name(), v, out)
	}
	clone, made := Cloner[V](c)
	if made != nil {
		t.Fatal(made)
	}
	defer func() {
		got, ok := recover().(error)
		if !ok || got.Error() != err.Error() {
			t.Errorf("%s: panic with %v, want %v", c.Name(), got, err)
		}
	}()
	clone(v)
	t.Errorf("%s: the clone of %T came back", c.Name(), v)
}

func TestCloneConcurrently(t *testing.T) {
	in := fullOrder()
	clone, err := Cloner[order](MsgPack)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				out := clone(in)
				if !same(in, out) {
					t.Error("the clone differs")
					return
				}
				out.Lines[0].Qty++
				out.Labels["k"] = "changed"
			}
		})
	}
	wg.Wait()
}
