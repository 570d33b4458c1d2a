package codec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Fingerprint identifies how c encodes type t: 16 hexadecimal digits, the
// xxhash64 of [Describe]. Builds with the same definition of t agree on it, and
// a value whose fingerprint differs is from another version of the type.
//
// It changes when a field is added, removed, renamed (by the name in the
// encoding, tags included), or given another type, and when fields that are
// encoded by position change places. It does not change with the name or the
// package of a struct, slice, map, array or pointer type, since these encode
// alike; nor with comments, methods, omitempty, or fields that are not encoded.
//
// The names of two kinds of types do count, with their package path. One are
// named numbers, strings and booleans: time.Duration in place of int64 encodes
// alike and means something else. The other are types that encode themselves,
// since their methods cannot be looked into: when the code of such a method
// changes, the fingerprint does not, and the region's schema has to be set by
// hand.
//
// For a codec that is no [TypeDescriber] the whole definition counts: all
// fields in order, unexported ones and complete tags included.
func Fingerprint(c Codec, t reflect.Type) string {
	return fmt.Sprintf("%016x", xxhash.Sum64String(Describe(c, t)))
}

// Describe returns the text that [Fingerprint] hashes, for tests and for
// finding out why two builds differ. A struct reads #0{"name":type,...}, by name,
// or #0(...) if it is encoded by position, and #0 alone where it occurs again.
// <...> is a type that encodes itself.
func Describe(c Codec, t reflect.Type) string {
	if td, ok := c.(TypeDescriber); ok {
		return td.DescribeType(t)
	}
	return describe(goDialect{}, t)
}

func describe(d dialect, t reflect.Type) string {
	w := describer{dialect: d, ids: map[reflect.Type]int{}}
	w.describe(t)
	return w.String()
}

// describer writes a type as text. Structs and named composite types are
// numbered at their first occurrence: recursion ends there, and a type that
// occurs often costs once.
type describer struct {
	dialect dialect
	ids     map[reflect.Type]int
	strings.Builder
}

func (w *describer) describe(t reflect.Type) {
	k := t.Kind()
	if k != reflect.Pointer && k != reflect.Interface {
		if own := w.dialect.own(t); own.method != "" {
			w.WriteString("<" + qualifiedName(t) + " " + own.method + ">")
			return
		}
	}
	switch k {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		if k == reflect.Struct || t.Name() != "" {
			id, again := w.ids[t]
			if !again {
				id = len(w.ids)
				w.ids[t] = id
			}
			w.WriteString("#" + strconv.Itoa(id))
			if again {
				return
			}
		}
		w.composite(t)
	case reflect.Interface, reflect.Chan, reflect.Func:
		w.WriteString(qualifiedName(t)) // no codec here carries them
	default:
		w.WriteString(k.String())
		if t.PkgPath() != "" {
			w.WriteString("=" + qualifiedName(t))
		}
	}
}

func (w *describer) composite(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		w.WriteString("*")
	case reflect.Slice:
		w.WriteString("[]")
	case reflect.Array:
		w.WriteString("[" + strconv.Itoa(t.Len()) + "]")
	case reflect.Map:
		w.WriteString("map[")
		w.describe(t.Key())
		w.WriteString("]")
	case reflect.Struct:
		w.structure(t)
		return
	}
	w.describe(t.Elem())
}

func (w *describer) structure(t reflect.Type) {
	l := w.dialect.layout(t)
	opening, closing := "{", "}"
	if l.asArray {
		opening, closing = "(", ")"
	} else {
		slices.SortStableFunc(l.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	}
	w.WriteString(opening)
	for i, f := range l.fields {
		if i > 0 {
			w.WriteString(",")
		}
		w.WriteString(strconv.Quote(f.name))
		if f.option != "" {
			w.WriteString(" " + f.option)
		}
		w.WriteString(":")
		w.describe(f.typ)
	}
	w.WriteString(closing)
}

// qualifiedName is the package path and name of t. The name of a generic type
// includes its arguments, with their paths.
func qualifiedName(t reflect.Type) string {
	if t.Name() == "" || t.PkgPath() == "" {
		return t.String()
	}
	return t.PkgPath() + "." + t.Name()
}

// goDialect describes types for codecs of which nothing is known: everything in
// a definition counts. It is not for checking.
type goDialect struct{}

func (goDialect) codec() string                           { return "go" }
func (goDialect) basic(reflect.Kind) string               { return "" }
func (goDialect) bytes(reflect.Type, bool) (bool, string) { return false, "" }
func (goDialect) key(reflect.Type) (string, bool)         { return "", true }

func (goDialect) own(t reflect.Type) ownEncoding {
	if t == timeType { // its fields are an affair of the Go release
		return ownEncoding{method: "go"}
	}
	return ownEncoding{}
}

func (goDialect) layout(t reflect.Type) layout {
	l := layout{asArray: true}
	for i := range t.NumField() {
		f := t.Field(i)
		l.fields = append(l.fields, field{name: f.Name, typ: f.Type, option: strconv.Quote(string(f.Tag))})
	}
	return l
}
