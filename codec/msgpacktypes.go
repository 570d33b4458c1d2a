package codec

import (
	"reflect"
	"slices"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// msgpackDialect follows vmihailenco/msgpack v5.4.1. The facts that it rests on
// are tests, and so is that its field lists are those of real encodings.
type msgpackDialect struct{}

var msgpackMethods = []methodPair{ // in the library's order; the first two both write plain MessagePack
	{reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder](), "EncodeMsgpack", "DecodeMsgpack", 0},
	{reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler](), "MarshalMsgpack", "UnmarshalMsgpack", 0},
	binaryMethods,
	textMethods,
}

func (msgpackDialect) codec() string { return "msgpack" }

func (msgpackDialect) own(t reflect.Type) ownEncoding {
	if t == timeType { // the library's own extension type, not time's MarshalBinary
		return ownEncoding{method: "timestamp"}
	}
	return ownMethods(t, "msgpack", msgpackMethods)
}

func (msgpackDialect) basic(k reflect.Kind) string {
	switch k {
	case reflect.Uintptr, reflect.Complex64, reflect.Complex128, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return "kind " + k.String() + " has no encoding"
	}
	return ""
}

func (msgpackDialect) bytes(t reflect.Type, addressable bool) (bool, string) {
	if t.Elem().Kind() != reflect.Uint8 {
		return false, ""
	}
	if t.Kind() == reflect.Array && !addressable && t.Elem() != reflect.TypeFor[byte]() {
		return true, "an array of a named byte type cannot be encoded in a map"
	}
	return true, ""
}

func (msgpackDialect) key(t reflect.Type) (string, bool) { return "", true }

// A msgpackTag is a parsed `msgpack:"name,option,key:value"`.
type msgpackTag struct {
	name    string
	options map[string]string
	strange bool // uses quoting or brackets, which are not understood here
}

func parseMsgpackTag(tag string) msgpackTag {
	t := msgpackTag{options: map[string]string{}, strange: strings.ContainsAny(tag, `'\(`)}
	for i, part := range strings.Split(tag, ",") {
		key, value, _ := strings.Cut(part, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if i == 0 && !strings.Contains(part, ":") {
			t.name = key
		} else {
			t.options[key] = value
		}
	}
	return t
}

func (t msgpackTag) has(options ...string) bool {
	return slices.ContainsFunc(options, func(o string) bool { _, ok := t.options[o]; return ok })
}

// tagName is the name in a struct tag's value.
func tagName(tag string) string {
	name, _, _ := strings.Cut(tag, ",")
	return strings.TrimSpace(name)
}

// msgpackLayout collects the fields of one struct. owner says which field a
// decoder fills for a name: an index of fields, or -1 for an embedded struct
// that was flattened but still can be read under its own name.
type msgpackLayout struct {
	layout
	dialect  msgpackDialect
	owner    map[string]int
	omitting bool // a field _msgpack has set omitempty for all that follow it
}

func (d msgpackDialect) layout(t reflect.Type) layout {
	l := msgpackLayout{owner: map[string]int{}}
	for i := range t.NumField() {
		l.add(t.Field(i))
	}
	for i, f := range l.fields {
		if l.owner[f.name] != i {
			l.losses = append(l.losses, loss{f.path, f.typ, "another field takes its encoded name " + f.name})
		}
	}
	return l.layout
}

func (l *msgpackLayout) add(f reflect.StructField) {
	tag := parseMsgpackTag(f.Tag.Get("msgpack"))
	if tag.strange {
		l.lose(f, "quotes and brackets in a msgpack tag are not supported")
		return
	}
	if tag.name == "-" {
		return
	}
	if f.Name == "_msgpack" {
		l.asArray = tag.has("as_array", "asArray")
		l.omitting = l.omitting || tag.has("omitempty")
		return
	}
	if !f.IsExported() && !f.Anonymous {
		if f.Name != "_" && f.Type.Size() > 0 {
			l.lose(f, `unexported field (add an encoder, tag it "-", or export it)`)
		}
		return
	}
	if f.Anonymous && !tag.has("noinline") && l.embed(f, tag) {
		return
	}
	if !f.IsExported() {
		l.lose(f, "embedded unexported type that is not flattened (export it or use a named field)")
		return
	}
	l.addPlain(f, tag)
}

func (l *msgpackLayout) addPlain(f reflect.StructField, tag msgpackTag) {
	plain := field{name: tag.name, path: f.Name, index: f.Index, typ: f.Type, omitEmpty: l.omitting || tag.has("omitempty")}
	if plain.name == "" {
		plain.name = f.Name
	}
	if tag.has("intern") {
		plain.option = "intern"
		if f.Type.Kind() != reflect.String {
			l.lose(f, "option intern is for strings")
			return
		}
	}
	if plain.omitEmpty && plain.option == "" && l.dialect.alwaysEmpty(f.Type) {
		l.lose(f, "omitempty drops it always: the type encodes itself, has no IsZero, and looks empty from outside")
		return
	}
	l.owner[plain.name] = len(l.fields)
	l.fields = append(l.fields, plain)
	if alias, ok := tag.options["alias"]; ok {
		l.owner[alias] = len(l.fields) - 1
	}
}

// embed flattens an embedded struct where the library would, and reports
// whether the field is dealt with.
func (l *msgpackLayout) embed(f reflect.StructField, tag msgpackTag) bool {
	t := f.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	explicit := tag.has("inline")
	if t.Kind() != reflect.Struct || (!explicit && l.dialect.own(t).method != "") {
		if explicit {
			l.lose(f, "option inline is for structs")
		}
		return explicit
	}
	if t != f.Type {
		// Nil is written as a nil for each field and read back as a pointer to a
		// zero struct. Decoding one also starts a goroutine that never ends.
		l.lose(f, `embedded pointer: nil would come back as a pointer to a zero struct (tag it "name,noinline")`)
		return true
	}
	sub := l.dialect.layout(t).within(f)
	shadowed := func(s field) bool { _, ok := l.owner[s.name]; return ok }
	if !explicit && slices.ContainsFunc(sub.fields, shadowed) {
		return false // becomes a field under the name of its type
	}
	l.losses = append(l.losses, sub.losses...)
	for _, s := range sub.fields {
		if shadowed(s) {
			l.losses = append(l.losses, loss{s.path, s.typ, "another field takes its encoded name " + s.name})
			continue
		}
		l.owner[s.name] = len(l.fields)
		l.fields = append(l.fields, s)
	}
	name := tag.name
	if name == "" {
		name = f.Name
	}
	l.owner[name] = -1
	return true
}

// alwaysEmpty reports whether the library takes every value of t for empty:
// it judges a struct by the fields that it would encode, even if the struct
// encodes itself in another way.
func (d msgpackDialect) alwaysEmpty(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || d.own(t).method == "" || t.Implements(reflect.TypeFor[interface{ IsZero() bool }]()) {
		return false
	}
	return !slices.ContainsFunc(d.layout(t).fields, func(f field) bool { return !f.omitEmpty })
}
