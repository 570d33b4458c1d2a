package codec

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

type (
	Order struct {
		ID       int
		customer string
		Lines    []Line
		Attrs    map[string]any
	}
	Line struct {
		price int
		Meta  map[float64]*Meta
	}
	Meta struct{ Raw any }
)

func TestCheckNamesEveryPart(t *testing.T) {
	tests := []struct {
		codec Codec
		t     reflect.Type
		want  []string
	}{
		{MsgPack, reflect.TypeFor[Order](), []string{
			`codec: msgpack cannot carry Order.customer faithfully: unexported field (add an encoder, tag it "-", or export it)`,
			`codec: msgpack cannot carry Order.Lines[].price faithfully: unexported field (add an encoder, tag it "-", or export it)`,
			`codec: msgpack cannot carry Order.Lines[].Meta[].Raw faithfully: interface: the dynamic type is lost (use a concrete type)`,
			`codec: msgpack cannot carry Order.Attrs[] faithfully: interface: the dynamic type is lost (use a concrete type)`,
		}},
		{JSON, reflect.TypeFor[*Order](), []string{
			`codec: json cannot carry *codec.Order.customer faithfully: unexported field (add an encoder, tag it "-", or export it)`,
			`codec: json cannot carry *codec.Order.Lines[].price faithfully: unexported field (add an encoder, tag it "-", or export it)`,
			`codec: json cannot carry *codec.Order.Lines[].Meta[key] faithfully: a key must be a string, an integer, or have MarshalText`,
			`codec: json cannot carry *codec.Order.Lines[].Meta[].Raw faithfully: interface: the dynamic type is lost (use a concrete type)`,
			`codec: json cannot carry *codec.Order.Attrs[] faithfully: interface: the dynamic type is lost (use a concrete type)`,
		}},
		{MsgPack, reflect.TypeFor[any](), []string{`codec: msgpack cannot carry interface {} faithfully: interface: the dynamic type is lost (use a concrete type)`}},
		{MsgPack, reflect.TypeFor[event](), []string{`codec: msgpack cannot carry event faithfully: MarshalBinary is promoted from an embedded field and leaves out the others, Name for one`}},
		{JSON, reflect.TypeFor[event](), []string{`codec: json cannot carry event faithfully: MarshalJSON is promoted from an embedded field and leaves out the others, Name for one`}},
		{MsgPack, reflect.TypeFor[box[twoWays]](), []string{`codec: msgpack cannot carry ` + reflect.TypeFor[box[twoWays]]().Name() + `.V faithfully: MarshalText and EncodeMsgpack compete: give them the same kind of receiver`}},
		{JSON, reflect.TypeFor[twoWays](), []string{`codec: json cannot carry twoWays faithfully: MarshalText and MarshalJSON compete: give them the same kind of receiver`}},
		{MsgPack, reflect.TypeFor[crossed](), []string{`codec: msgpack cannot carry crossed faithfully: it would be encoded by MarshalBinary but decoded by UnmarshalText`}},
		{MsgPack, reflect.TypeFor[onlyMarshals](), []string{`codec: msgpack cannot carry onlyMarshals faithfully: it has MarshalText but no method that decodes it`}},
		{MsgPack, reflect.TypeFor[onlyUnmarshals](), []string{`codec: msgpack cannot carry onlyUnmarshals faithfully: it has UnmarshalText but no method that encodes for it`}},
		{MsgPack, reflect.TypeFor[forgetful](), []string{`codec: msgpack cannot carry forgetful faithfully: UnmarshalText has a value receiver, so that it cannot store`}},
		{MsgPack, reflect.TypeFor[map[string]byAddr](), []string{`codec: msgpack cannot carry map[string]codec.byAddr[] faithfully: MarshalText has a pointer receiver and cannot be called in a map`}},
		{Raw, reflect.TypeFor[Order](), []string{`codec: raw cannot carry codec.Order faithfully: it is neither bytes nor a string`}},
		{Raw, reflect.TypeFor[*string](), []string{`codec: raw cannot carry *string faithfully: it is neither bytes nor a string`}},
		{Raw, reflect.TypeFor[[4]byte](), []string{`codec: raw cannot carry [4]uint8 faithfully: it is neither bytes nor a string`}},
		{MsgPack, nil, []string{`codec: msgpack cannot carry nil faithfully: no type`}},
	}
	for _, test := range tests {
		err := Check(test.codec, test.t)
		var typeErr *TypeError
		if !errors.As(err, &typeErr) || typeErr.Codec != test.codec.Name() {
			t.Errorf("Check(%s, %v) = %v, want a TypeError", test.codec.Name(), test.t, err)
			continue
		}
		if want := strings.Join(test.want, "\n"); err.Error() != want {
			t.Errorf("Check(%s, %v):\n%v\nwant:\n%s", test.codec.Name(), test.t, err, want)
		}
	}
}

// TestCheckEndsOnSelfReference: the bare library does not survive the first two; it
// recurses over them until the stack ends.
func TestCheckEndsOnSelfReference(t *testing.T) {
	type selfEmbedded struct {
		*selfEmbedded
		N int
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[chain](), reflect.TypeFor[selfEmbedded]()} {
		for _, c := range []Codec{MsgPack, JSON} {
			if Check(c, typ) == nil {
				t.Errorf("%s accepts %v", c.Name(), typ)
			}
			if _, err := Encode(c, nil, reflect.Zero(typ).Interface()); err == nil {
				t.Errorf("%s encodes %v", c.Name(), typ)
			}
			Fingerprint(c, typ)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[list](), reflect.TypeFor[tree](), reflect.TypeFor[nested](), reflect.TypeFor[map[string]nested]()} {
		for _, c := range []Codec{MsgPack, JSON} {
			if err := Check(c, typ); err != nil {
				t.Errorf("Check(%s, %v) = %v", c.Name(), typ, err)
			}
		}
	}
}

// TestRecursiveTypes: only their values are walked before they are encoded.
func TestRecursiveTypes(t *testing.T) {
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[list](): true, reflect.TypeFor[[]tree](): true, reflect.TypeFor[nested](): true, reflect.TypeFor[order](): true,
		reflect.TypeFor[struct{ A, B *line }](): false, reflect.TypeFor[map[line][]*line](): false, reflect.TypeFor[product](): false,
	} {
		if got := msgpackTypes.of(typ).recursive; got != want {
			t.Errorf("%v: recursive = %v", typ, got)
		}
	}
}

func TestMsgpackTags(t *testing.T) {
	refused := map[string]reflect.Type{
		"quotes": reflect.TypeFor[struct {
			A int `msgpack:"'a,b'"`
		}](),
		"brackets": reflect.TypeFor[struct {
			A int `msgpack:"alias:(a,b)"`
		}](),
		"inline pointer": reflect.TypeFor[struct {
			*Base `msgpack:",inline"`
		}](),
		"inline number": reflect.TypeFor[struct {
			Number `msgpack:",inline"`
		}](),
		"unexported with noinline": reflect.TypeFor[struct {
			base `msgpack:",noinline"`
		}](),
		"unexported that encodes itself": reflect.TypeFor[struct {
			byAddr
			mixed
		}](),
		"omitempty of what looks empty": reflect.TypeFor[struct {
			A *struct {
				B netip.Addr `msgpack:",omitempty"`
			}
		}](),
	}
	for name, typ := range refused {
		if Check(MsgPack, typ) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// stranger is a codec that says nothing about types; lenient wraps another one.
type stranger struct{ panicking }

type lenient struct{ Codec }

func (l lenient) CheckType(t reflect.Type) error {
	if t.Kind() == reflect.Chan {
		return nil
	}
	return Check(l.Codec, t)
}

func TestCheckOfOtherCodecs(t *testing.T) {
	if err := Check(stranger{}, reflect.TypeFor[any]()); err != nil {
		t.Errorf("a codec without CheckType is not taken at its word: %v", err)
	}
	if err := Check(lenient{MsgPack}, reflect.TypeFor[chan int]()); err != nil {
		t.Errorf("CheckType of the codec is not asked: %v", err)
	}
	if Check(lenient{MsgPack}, reflect.TypeFor[any]()) == nil {
		t.Error("CheckType of the codec is not believed")
	}
}
