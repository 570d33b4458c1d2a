package codec

import (
	"encoding"
	"reflect"
	"runtime"
	"time"
)

// dialect is how one codec sees types: which parts of a type it encodes, under
// which names, and what it would lose. [checker] and [describer] walk types
// through it.
type dialect interface {
	codec() string

	// own tells whether values of t are encoded by methods of their own.
	// t is no pointer and no interface.
	own(t reflect.Type) ownEncoding

	// layout lists what of the struct type t is encoded.
	layout(t reflect.Type) layout

	// basic returns why values of a kind without parts are lost, or "".
	basic(k reflect.Kind) string

	// bytes tells whether the slice or array type t is encoded as one byte
	// string, and why that fails, if it does.
	bytes(t reflect.Type, addressable bool) (asBytes bool, problem string)

	// key returns why t cannot be the key of a map, or "". If walk is set, the
	// parts of t have to be looked at as well.
	key(t reflect.Type) (problem string, walk bool)
}

// layout is the encoded form of a struct.
type layout struct {
	fields  []field // those encoded, embedded ones flattened, in order
	losses  []loss
	asArray bool // encoded by position, so that order matters
}

type field struct {
	name      string // in the encoding
	path      string // in Go: Name, or Embedded.Name
	index     []int  // for reflect.Value.FieldByIndex
	typ       reflect.Type
	option    string // what else changes the encoding: intern, string
	omitEmpty bool
}

// loss is a field that would not come back.
type loss struct {
	path   string
	typ    reflect.Type
	reason string
}

func (l *layout) lose(f reflect.StructField, reason string) {
	l.losses = append(l.losses, loss{f.Name, f.Type, reason})
}

// within returns the fields and losses of the struct embedded as f, as seen
// from the struct around it.
func (l layout) within(f reflect.StructField) layout {
	for i, sub := range l.fields {
		sub.path = f.Name + "." + sub.path
		sub.index = append([]int{f.Index[0]}, sub.index...)
		l.fields[i] = sub
	}
	for i := range l.losses {
		l.losses[i].path = f.Name + "." + l.losses[i].path
	}
	return l
}

var timeType = reflect.TypeFor[time.Time]()

// A methodPair is a way for a type to encode itself. Pairs with the same wire
// number understand each other.
type methodPair struct {
	marshaler, unmarshaler reflect.Type
	marshal, unmarshal     string
	wire                   int
}

var (
	binaryMethods = methodPair{
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](), "MarshalBinary", "UnmarshalBinary", 1,
	}
	textMethods = methodPair{
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](), "MarshalText", "UnmarshalText", 2,
	}
)

// ownEncoding is how a type encodes itself; method is "" if it does not.
type ownEncoding struct {
	method  string // that encodes
	byAddr  bool   // method has a pointer receiver: only addressable values are encoded by it
	problem string // why the type's methods do not work together, or ""
}

// ownMethods picks the pair that a library would, given its pairs in order of
// preference. Both libraries look at methods in an order in which the receiver
// matters too, and for msgpack even at which types it has met before, so a type
// that mixes receivers has no definite encoding and is a problem.
func ownMethods(t reflect.Type, tag string, pairs []methodPair) ownEncoding {
	p := reflect.PointerTo(t)
	enc, encByValue, dec, decByValue := -1, -1, -1, -1
	for i := len(pairs) - 1; i >= 0; i-- {
		if p.Implements(pairs[i].marshaler) {
			enc = i
		}
		if t.Implements(pairs[i].marshaler) {
			encByValue = i
		}
		if p.Implements(pairs[i].unmarshaler) {
			dec = i
		}
		if t.Implements(pairs[i].unmarshaler) {
			decByValue = i
		}
	}
	if enc < 0 && dec < 0 {
		return ownEncoding{}
	}
	if enc < 0 {
		return ownEncoding{problem: "it has " + pairs[dec].unmarshal + " but no method that encodes for it"}
	}
	own := ownEncoding{method: pairs[enc].marshal, byAddr: encByValue < 0}
	switch {
	case dec < 0:
		own.problem = "it has " + own.method + " but no method that decodes it"
	case pairs[enc].wire != pairs[dec].wire:
		own.problem = "it would be encoded by " + own.method + " but decoded by " + pairs[dec].unmarshal
	case decByValue >= 0:
		own.problem = pairs[decByValue].unmarshal + " has a value receiver, so that it cannot store"
	case encByValue >= 0 && encByValue != enc:
		own.problem = pairs[encByValue].marshal + " and " + own.method + " compete: give them the same kind of receiver"
	case t.Kind() == reflect.Struct:
		own.problem = promotionProblem(t, tag, pairs[enc], pairs[dec])
	}
	return own
}

// promotionProblem finds the struct that embeds a type with methods and so
// gets them itself: struct{ time.Time; Name string } encodes as the time alone.
func promotionProblem(t reflect.Type, tag string, enc, dec methodPair) string {
	name := ""
	switch {
	case promoted(t, enc.marshal):
		name = enc.marshal
	case promoted(t, dec.unmarshal):
		name = dec.unmarshal
	default:
		return ""
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" || tagName(f.Tag.Get(tag)) == "-" {
			continue
		}
		if f.Anonymous && (implements(f.Type, enc.marshaler) || implements(f.Type, dec.unmarshaler)) {
			continue
		}
		return name + " is promoted from an embedded field and leaves out the others, " + f.Name + " for one"
	}
	return ""
}

func implements(t, iface reflect.Type) bool {
	return t.Implements(iface) || reflect.PointerTo(t).Implements(iface)
}

// promoted reports whether t has the method from an embedded field rather than
// a declaration of its own. Reflection does not tell the two apart, but only a
// promoted method is a wrapper without a source file: the compiler's name for
// that is "<autogenerated>". A wrapper is made, too, for calling a method with a
// value receiver through a pointer; hence the look at t before *t.
func promoted(t reflect.Type, method string) bool {
	m, ok := methodByName(t, method)
	if !ok {
		if m, ok = methodByName(reflect.PointerTo(t), method); !ok {
			return false
		}
	}
	fn := runtime.FuncForPC(m.Func.Pointer())
	if fn == nil {
		return false
	}
	file, _ := fn.FileLine(fn.Entry())
	return file == "<autogenerated>"
}

// methodByName is t.MethodByName with constants: with a variable name (or a call
// of Type.Method) the linker would keep every exported method of the program.
func methodByName(t reflect.Type, name string) (reflect.Method, bool) {
	switch name {
	case "EncodeMsgpack":
		return t.MethodByName("EncodeMsgpack")
	case "DecodeMsgpack":
		return t.MethodByName("DecodeMsgpack")
	case "MarshalMsgpack":
		return t.MethodByName("MarshalMsgpack")
	case "UnmarshalMsgpack":
		return t.MethodByName("UnmarshalMsgpack")
	case "MarshalBinary":
		return t.MethodByName("MarshalBinary")
	case "UnmarshalBinary":
		return t.MethodByName("UnmarshalBinary")
	case "MarshalText":
		return t.MethodByName("MarshalText")
	case "UnmarshalText":
		return t.MethodByName("UnmarshalText")
	case "MarshalJSON":
		return t.MethodByName("MarshalJSON")
	case "UnmarshalJSON":
		return t.MethodByName("UnmarshalJSON")
	}
	return reflect.Method{}, false
}
