package codec

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// jsonDialect follows encoding/json, with the same tests as msgpackDialect.
type jsonDialect struct{}

var jsonMethods = []methodPair{
	{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](), "MarshalJSON", "UnmarshalJSON", 0},
	textMethods,
}

func (jsonDialect) codec() string { return "json" }

func (jsonDialect) own(t reflect.Type) ownEncoding { return ownMethods(t, "json", jsonMethods) }

func (jsonDialect) basic(k reflect.Kind) string {
	switch k {
	case reflect.Complex64, reflect.Complex128, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return "kind " + k.String() + " has no encoding"
	}
	return ""
}

func (d jsonDialect) bytes(t reflect.Type, _ bool) (bool, string) {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && d.own(t.Elem()).method == "", ""
}

// key: encoding/json writes strings as they are, then tries MarshalText, then
// writes integers. It reads through the key's methods first, if it has
// UnmarshalText, and then prefers even UnmarshalJSON.
func (jsonDialect) key(t reflect.Type) (string, bool) {
	marshals := t.Implements(textMethods.marshaler)
	unmarshals := reflect.PointerTo(t).Implements(textMethods.unmarshaler)
	switch k := t.Kind(); {
	case t == timeType:
		return timeKey, false
	case k == reflect.String:
		if unmarshals {
			return "a string key is written as it is but read through UnmarshalText", false
		}
	case k == reflect.Pointer || k == reflect.Interface:
		return "a pointer or interface as a key loses its identity", false
	case unmarshals && reflect.PointerTo(t).Implements(jsonMethods[0].unmarshaler):
		return "a key is written by MarshalText but read through UnmarshalJSON", false
	case marshals != unmarshals:
		return "a key needs both of MarshalText, with a value receiver, and UnmarshalText", false
	case !marshals && (k < reflect.Int || k > reflect.Uintptr):
		return "a key must be a string, an integer, or have MarshalText", false
	}
	return "", false
}

// layout flattens embedded structs as encoding/json does. Of several fields with
// the same name that library keeps one or none; here all of them are lost.
func (d jsonDialect) layout(t reflect.Type) layout {
	l := d.flatten(t)
	count := map[string]int{}
	for _, f := range l.fields {
		count[f.name]++
	}
	for _, f := range l.fields {
		if count[f.name] > 1 {
			l.losses = append(l.losses, loss{f.path, f.typ, "another field takes its encoded name " + f.name})
		}
	}
	return l
}

func (d jsonDialect) flatten(t reflect.Type) layout {
	var l layout
	for i := range t.NumField() {
		d.add(&l, t.Field(i))
	}
	return l
}

func (d jsonDialect) add(l *layout, f reflect.StructField) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return
	}
	name, options, _ := strings.Cut(tag, ",")
	if !validJSONName(name) {
		name = ""
	}
	flat := f.Anonymous && name == "" && deref(f.Type).Kind() == reflect.Struct
	switch {
	case f.Name == "_" || !f.IsExported() && f.Type.Size() == 0:
	case flat && f.Type.Kind() == reflect.Pointer:
		l.lose(f, "embedded pointer: nil and a pointer to a struct without content come back alike (tag it with a name)")
	case flat:
		sub := d.flatten(f.Type).within(f)
		l.fields = append(l.fields, sub.fields...)
		l.losses = append(l.losses, sub.losses...)
	case !f.IsExported():
		l.lose(f, `unexported field (add an encoder, tag it "-", or export it)`)
	default:
		plain := field{name: name, path: f.Name, index: f.Index, typ: f.Type}
		if name == "" {
			plain.name = f.Name
		}
		if slices.Contains(strings.Split(options, ","), "string") {
			plain.option = "string"
			if t := deref(f.Type); t.Kind() != reflect.Interface && d.own(t).method != "" {
				l.lose(f, "option string is ignored by methods that encode, but not where they decode")
				return
			}
		}
		l.fields = append(l.fields, plain)
	}
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// validJSONName has encoding/json's idea of a name in a tag; it ignores others.
func validJSONName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}
