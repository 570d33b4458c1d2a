package codec

import (
	"errors"
	"fmt"
	"reflect"
)

// Clone returns a deep copy of v: it is encoded with c and decoded again, so the
// copy shares no memory with v and lacks what c leaves out, such as a field
// tagged "-". An error means that c could not carry v; the result is then the
// zero value. What [Compress] wraps is used without compressing.
//
// Clone is safe for concurrent use, also of the same v, as long as nobody
// changes v meanwhile.
func Clone[V any](c Codec, v V) (V, error) {
	c, err := copying(c)
	if err != nil {
		var zero V
		return zero, fmt.Errorf("codec: clone %T: %w", v, err)
	}
	return roundTrip(c, v)
}

func roundTrip[V any](c Codec, v V) (out V, err error) {
	b := buffers.get()
	b.bytes, err = Encode(c, b.bytes, &v)
	if err == nil {
		err = Decode(c, b.bytes, &out)
	}
	buffers.put(b)
	if err != nil {
		var zero V
		return zero, fmt.Errorf("codec: clone %T: %w", v, err)
	}
	return out, nil
}

// Cloner returns a function that makes deep copies of values of type V, as
// tiered's Config.Clone wants one. The error is an [ErrInvalidOption] and says what of
// V c cannot carry, as [Check] does. Values of a type without pointers, slices, maps and interfaces in
// it (strings and time.Time may be) need no more than an assignment and get just
// that, whatever c is; all others are encoded and decoded, as by [Clone].
//
// A value that c cannot carry after all makes the function panic, with the error
// that Clone returns: Config.Clone has no error, and to share the value or to
// answer with a zero one would be a mistake that nobody sees. With MsgPack and
// JSON there are few such values, since the type has been checked: a cyclic one
// or one nested more than 10,000 levels deep; for JSON a NaN or an infinity; and
// one whose own methods return an error or panic. Such a value cannot be stored
// in Redis with c either. Nor does it become a value of the cache, if c is the
// region's own codec: a load's value is copied before it is kept, and there the
// panic is a *LoadPanicError to those who called the load; in Set it reaches the
// caller. So give a region the Cloner of its own codec. Who wants to go on with
// such values writes a function of their own around Clone.
//
// The function is safe for concurrent use.
func Cloner[V any](c Codec) (func(V) V, error) {
	t := reflect.TypeFor[V]()
	if isNil(c) {
		return nil, invalid(fmt.Errorf("codec: cloner of %v: %w", t, errNilCodec))
	}
	if copiesByAssignment(t) {
		return func(v V) V { return v }, nil
	}
	if err := Check(c, t); err != nil {
		return nil, invalid(fmt.Errorf("codec: cloner of %v: %w", t, err))
	}
	c, err := copying(c)
	if err != nil {
		return nil, invalid(fmt.Errorf("codec: cloner of %v: %w", t, err))
	}
	return func(v V) V {
		out, err := roundTrip(c, v)
		if err != nil {
			panic(err) //nolint:forbidigo // there is no error to return, and anything else would be silent
		}
		return out
	}, nil
}

var errNilCodec = errors.New("the codec is nil")

// copying returns the codec that c encodes with, without compression.
func copying(c Codec) (Codec, error) {
	if isNil(c) {
		return nil, errNilCodec
	}
	for {
		z, ok := c.(*compressed)
		if !ok {
			return c, nil
		}
		if z.err != nil {
			return nil, z.err
		}
		c = z.inner
	}
}

// copiesByAssignment reports whether an assignment of a value of type t copies
// all of it that can change. A string cannot; nor can the location of a time.
func copiesByAssignment(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		if t == timeType {
			return true
		}
		for i := range t.NumField() {
			if !copiesByAssignment(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Array:
		return copiesByAssignment(t.Elem())
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false
	}
	return true
}
