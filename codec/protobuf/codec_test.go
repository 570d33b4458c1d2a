package protobuf

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/doppio-cache/doppio/codec"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func someStruct() *structpb.Struct {
	return must(structpb.NewStruct(map[string]any{
		"sku": "cup", "price": 12.9, "tags": []any{"kitchen", nil, true}, "maker": map[string]any{"name": "Ada", "none": nil},
	}))
}

// messages are of all syntaxes, with what the wire format has to offer.
func messages() []proto.Message {
	file := protodescOf(someStruct())
	unknown := wrapperspb.String("text")
	unknown.ProtoReflect().SetUnknown([]byte{0x10, 0x07}) // field 2, varint 7
	return []proto.Message{
		wrapperspb.String("text"), wrapperspb.Bytes([]byte{0, 1}), wrapperspb.Double(math.NaN()), wrapperspb.Int64(-1), &emptypb.Empty{},
		&wrapperspb.StringValue{}, unknown, someStruct(), structpb.NewNullValue(), file, timestamppb.New(time.Unix(1e9, 5)),
		must(anypb.New(durationpb.New(time.Second))),
		&descriptorpb.UninterpretedOption_NamePart{NamePart: proto.String("x"), IsExtension: proto.Bool(false)},
	}
}

func protodescOf(m proto.Message) *descriptorpb.FileDescriptorProto {
	d := m.ProtoReflect().Descriptor()
	out := &descriptorpb.FileDescriptorProto{Name: proto.String(d.ParentFile().Path())}
	for i := range d.Fields().Len() {
		out.Dependency = append(out.Dependency, string(d.Fields().Get(i).FullName()))
	}
	out.MessageType = []*descriptorpb.DescriptorProto{{
		Name: proto.String("M"), NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("N")}},
		Field: []*descriptorpb.FieldDescriptorProto{{Type: descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()}},
	}}
	return out
}

// decodeLike decodes data into a new value of m's type.
func decodeLike(c codec.Codec, data []byte, m proto.Message) (proto.Message, error) {
	p := reflect.New(reflect.TypeOf(m))
	err := codec.Decode(c, data, p.Interface())
	return p.Elem().Interface().(proto.Message), err
}

func TestRoundTrip(t *testing.T) {
	for _, c := range []codec.Codec{Codec, codec.Compress(Codec, codec.WithThreshold(0)), codec.Compress(Codec, codec.WithThreshold(0), codec.WithAlgorithm(codec.Zstd))} {
		for _, m := range messages() {
			p := reflect.New(reflect.TypeOf(m))
			p.Elem().Set(reflect.ValueOf(m))
			for _, in := range []any{m, p.Interface()} {
				data, err := codec.Encode(c, []byte("header"), in)
				if err != nil || string(data[:6]) != "header" {
					t.Fatalf("%s: Append(%T) = %q, %v", c.Name(), in, data, err)
				}
				out, err := decodeLike(c, data[6:], m)
				if err != nil || !proto.Equal(m, out) {
					t.Errorf("%s: given %T: got %v, %v\nwant %v", c.Name(), in, out, err, m)
				}
			}
		}
	}
}

// TestNil: nil and empty remain distinct.
func TestNil(t *testing.T) {
	var none *wrapperspb.StringValue
	for _, in := range []any{none, &none} {
		data := must(Codec.Append([]byte("header"), in))
		if string(data) != "header\x00" {
			t.Errorf("nil as %T is %q", in, data)
		}
	}
	out := wrapperspb.String("something")
	if err := Codec.Unmarshal([]byte{0}, &out); err != nil || out != nil {
		t.Errorf("got %v, %v, want nil", out, err)
	}
	data := must(Codec.Append(nil, &wrapperspb.StringValue{}))
	if err := Codec.Unmarshal(data, &out); err != nil || out == nil || len(data) > 0 {
		t.Errorf("the empty message, % x: got %v, %v", data, out, err)
	}
	for _, v := range []any{nil, (**wrapperspb.StringValue)(nil)} {
		if data, err := codec.Encode(Codec, []byte("header"), v); err == nil || string(data) != "header" {
			t.Errorf("Append(header, %T(nil)) = %q, %v", v, data, err)
		}
	}
}

type embedding struct {
	*wrapperspb.StringValue
	Extra int
}

type ownInterface interface{ proto.Message }

func TestCheck(t *testing.T) {
	const no = "it is no pointer to a generated message"
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[*wrapperspb.StringValue]():                 "",
		reflect.TypeFor[*structpb.Struct]():                        "",
		reflect.TypeFor[*descriptorpb.FileDescriptorProto]():       "",
		reflect.TypeFor[wrapperspb.StringValue]():                  "a message must not be copied (use a pointer to it)",
		reflect.TypeFor[**wrapperspb.StringValue]():                no,
		reflect.TypeFor[[]*wrapperspb.StringValue]():               no,
		reflect.TypeFor[map[string]*wrapperspb.StringValue]():      no,
		reflect.TypeFor[string]():                                  no,
		reflect.TypeFor[*string]():                                 no,
		reflect.TypeFor[*struct{ M *structpb.Struct }]():           no,
		reflect.TypeFor[descriptorpb.FieldDescriptorProto_Type]():  no,
		reflect.TypeFor[*descriptorpb.FieldDescriptorProto_Type](): no,
		reflect.TypeFor[proto.Message]():                           "interface: the dynamic type is lost (use a pointer to a generated message)",
		reflect.TypeFor[ownInterface]():                            "interface: the dynamic type is lost (use a pointer to a generated message)",
		reflect.TypeFor[any]():                                     "interface: the dynamic type is lost (use a pointer to a generated message)",
		reflect.TypeFor[*dynamicpb.Message]():                      "its fields are not known from its type",
		reflect.TypeFor[*embedding]():                              "ProtoReflect is promoted from an embedded message and leaves out the other fields",
		reflect.TypeFor[embedding]():                               "a message must not be copied (use a pointer to it)",
	} {
		err := codec.Check(Codec, typ)
		if want == "" {
			if err != nil {
				t.Errorf("Check(%v) = %v", typ, err)
			}
			continue
		}
		var typeErr *codec.TypeError
		if !errors.As(err, &typeErr) || typeErr.Reason != want || typeErr.Codec != "protobuf" || typeErr.Type != typ {
			t.Errorf("Check(%v) = %v, want a TypeError: %s", typ, err, want)
		}
		if typ.Kind() == reflect.Interface {
			continue
		}
		// What Check refuses is refused for each value, too.
		if data, err := codec.Encode(Codec, []byte("header"), reflect.Zero(typ).Interface()); err == nil || string(data) != "header" {
			if typ.Kind() != reflect.Pointer || typ.Elem().Kind() != reflect.Pointer { // a pointer to a value is one
				t.Errorf("Append takes a %v", typ)
			}
		}
		err = codec.Decode(Codec, nil, reflect.New(typ).Interface())
		var p *codec.PanicError
		if err == nil || errors.As(err, &p) {
			t.Errorf("Unmarshal into a %v = %v, want a plain error", typ, err)
		}
	}
}

func TestUnmarshalTarget(t *testing.T) {
	for _, target := range []any{nil, "text", (**structpb.Struct)(nil), structpb.Struct{}, new(any)} {
		err := codec.Decode(Codec, nil, target)
		var p *codec.PanicError
		if err == nil || errors.As(err, &p) {
			t.Errorf("Unmarshal into %T = %v, want a plain error", target, err)
		}
	}
}

func TestCorruptInput(t *testing.T) {
	for name, data := range map[string]string{
		"field 0":         "\x00\x00",
		"truncated text":  "\x0a\x05abc",
		"endless varint":  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"lying length":    "\x0a\xff\xff\xff\xff\x0f",
		"invalid UTF-8":   "\x0a\x01\xff",
		"truncated group": "\x13",
	} {
		var out *wrapperspb.StringValue
		err := codec.Decode(Codec, []byte(data), &out)
		var p *codec.PanicError
		if err == nil || errors.As(err, &p) || !strings.HasPrefix(err.Error(), "protobuf: decode *wrapperspb.StringValue: ") {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
}

// TestUnencodable: what the wire format has no form for.
func TestUnencodable(t *testing.T) {
	for _, m := range []proto.Message{wrapperspb.String("\xff"), &descriptorpb.UninterpretedOption_NamePart{}} {
		data, err := codec.Encode(Codec, []byte("header"), m)
		if err == nil || string(data) != "header" || !strings.HasPrefix(err.Error(), "protobuf: encode *") {
			t.Errorf("Append(header, %v) = %q, %v", m, data, err)
		}
	}
}

func TestUnmarshalCopies(t *testing.T) {
	in := wrapperspb.Bytes([]byte("value"))
	data := must(Codec.Append(nil, in))
	kept := bytes.Clone(data)
	var out *wrapperspb.BytesValue
	if err := Codec.Unmarshal(data, &out); err != nil || !bytes.Equal(data, kept) {
		t.Fatalf("Unmarshal changed its input, or failed: %v", err)
	}
	clear(data)
	if !proto.Equal(in, out) {
		t.Errorf("the value changed with the input: %v", out)
	}
}

// deep is a value that nests n messages.
func deep(n int) *structpb.ListValue {
	list := &structpb.ListValue{}
	for ; n > 1; n -= 2 {
		list = &structpb.ListValue{Values: []*structpb.Value{structpb.NewListValue(list)}}
	}
	return list
}

// TestDepth: what is encoded can be decoded, and nothing recurses for ever.
func TestDepth(t *testing.T) {
	at := deep(maxDepth - 1)
	if out, err := decodeLike(Codec, must(Codec.Append(nil, at)), at); err != nil || !proto.Equal(at, out) {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := Codec.Append(nil, deep(maxDepth+1)); !errors.Is(err, errTooDeep) {
		t.Errorf("above the limit: %v", err)
	}
	fields := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	fields.Fields["x"] = structpb.NewStructValue(fields)
	list := &structpb.ListValue{}
	list.Values = []*structpb.Value{structpb.NewListValue(list)}
	nested := &descriptorpb.DescriptorProto{}
	nested.NestedType = []*descriptorpb.DescriptorProto{nested}
	for _, m := range []proto.Message{fields, list, structpb.NewStructValue(fields), nested, &descriptorpb.FileDescriptorProto{MessageType: nested.NestedType}} {
		if _, err := Codec.Append(nil, m); !errors.Is(err, errTooDeep) {
			t.Errorf("a cyclic %T: %v", m, err)
		}
	}
}

// TestFlat: the values of these types are not walked before they are encoded.
func TestFlat(t *testing.T) {
	for m, want := range map[proto.Message]bool{
		&wrapperspb.StringValue{}: true, &timestamppb.Timestamp{}: true, &anypb.Any{}: true, &descriptorpb.SourceCodeInfo{}: false,
		&structpb.Struct{}: false, &structpb.Value{}: false, &descriptorpb.DescriptorProto{}: false,
		&descriptorpb.UninterpretedOption{}: true, &descriptorpb.FieldOptions{}: false, // it may have extensions
	} {
		d := m.ProtoReflect().Descriptor()
		if got := typeOf(reflect.TypeOf(m)).flat[d.FullName()]; got != want {
			t.Errorf("%s: flat = %v", d.FullName(), got)
		}
	}
}

func TestClone(t *testing.T) {
	clone, err := codec.Cloner[*structpb.Struct](Codec)
	if err != nil {
		t.Fatal(err)
	}
	for name, clone := range map[string]func(*structpb.Struct) *structpb.Struct{"Cloner": clone, "CloneOf": proto.CloneOf[*structpb.Struct]} {
		in := someStruct()
		out := clone(in)
		out.Fields["tags"].GetListValue().Values[0] = nil
		if !proto.Equal(in, someStruct()) || proto.Equal(in, out) {
			t.Errorf("%s: the copy shares memory", name)
		}
		if out := clone(nil); out != nil {
			t.Errorf("%s: the copy of nil is %v", name, out)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for _, m := range messages() {
		for range 4 {
			wg.Go(func() {
				for range 20 {
					data, err := Codec.Append(nil, m)
					if err != nil {
						t.Error(err)
						return
					}
					if out, err := decodeLike(Codec, data, m); err != nil || !proto.Equal(m, out) {
						t.Errorf("%v, %v", out, err)
						return
					}
					codec.Fingerprint(Codec, reflect.TypeOf(m))
				}
			})
		}
	}
	wg.Wait()
}

func TestName(t *testing.T) { // it is in the header of stored values
	if Codec.Name() != "protobuf" {
		t.Errorf("Name = %q", Codec.Name())
	}
}

// FuzzUnmarshal demands that what decodes is a value like any other.
func FuzzUnmarshal(f *testing.F) {
	for _, m := range messages() {
		f.Add(must(Codec.Append(nil, m)))
	}
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range []proto.Message{(*structpb.Struct)(nil), (*descriptorpb.FileDescriptorProto)(nil), (*wrapperspb.BytesValue)(nil)} {
			kept := bytes.Clone(data)
			first, err := decodeLike(Codec, data, m)
			var p *codec.PanicError
			if errors.As(err, &p) {
				t.Fatalf("% x: %v\n%s", data, err, p.Stack)
			}
			if !bytes.Equal(data, kept) {
				t.Fatal("Unmarshal changed its input")
			}
			if err != nil {
				continue
			}
			again, err := codec.Encode(Codec, nil, first)
			if err != nil {
				t.Fatalf("% x decodes and cannot be encoded: %v", data, err)
			}
			if second, err := decodeLike(Codec, again, m); err != nil || !proto.Equal(first, second) {
				t.Fatalf("from % x\ngot  %v\nthen %v, %v", data, first, second, err)
			}
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	in := someStruct()
	data := must(Codec.Append(nil, in))
	clone := must(codec.Cloner[*structpb.Struct](Codec))
	var buf []byte
	for name, f := range map[string]func(){
		"append":              func() { buf, _ = Codec.Append(buf[:0], in) },
		"append/bare":         func() { buf, _ = proto.MarshalOptions{}.MarshalAppend(buf[:0], in) },
		"unmarshal":           func() { var out *structpb.Struct; _ = Codec.Unmarshal(data, &out) },
		"unmarshal/bare":      func() { _ = proto.Unmarshal(data, new(structpb.Struct)) },
		"clone/Cloner":        func() { clone(in) },
		"clone/proto.CloneOf": func() { proto.CloneOf(in) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
