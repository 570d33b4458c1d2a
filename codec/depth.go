package codec

import (
	"reflect"
	"sync"
)

// shape is what withinDepth needs to know of a type.
type shape struct {
	flat   bool // contains nothing that nests
	fields [][]int
}

var shapes sync.Map // reflect.Type to *shape

// withinDepth reports whether v nests at most left levels as msgpack encodes it.
// Only values of recursive types need to be asked: a cyclic one would recurse
// until the stack overflows, which ends the process. What a type's own methods
// encode is not looked into.
func withinDepth(v reflect.Value, left int) bool {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return true
		}
		return withinDepth(v.Elem(), left)
	}
	s := shapeOf(v.Type())
	if s.flat {
		return true
	}
	if left--; left < 0 {
		return false
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, index := range s.fields {
			if !withinDepth(v.FieldByIndex(index), left) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !withinDepth(v.Index(i), left) {
				return false
			}
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			if !withinDepth(iter.Value(), left) {
				return false
			}
		}
	}
	return true
}

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s, _ := shapes.LoadOrStore(t, newShape(t))
	return s.(*shape)
}

func newShape(t reflect.Type) *shape {
	s := new(shape)
	switch t.Kind() {
	case reflect.Struct:
		if (msgpackDialect{}).own(t).method != "" {
			s.flat = true
			break
		}
		for _, f := range (msgpackDialect{}).layout(t).fields {
			if !isFlat(f.typ) {
				s.fields = append(s.fields, f.index)
			}
		}
		s.flat = len(s.fields) == 0
	case reflect.Slice, reflect.Array, reflect.Map:
		s.flat = isFlat(t.Elem()) || (msgpackDialect{}).own(t).method != ""
	default:
		s.flat = true
	}
	return s
}

// isFlat is a cheap guess that errs towards false.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer, reflect.Interface:
		return false
	}
	return true
}
