package codec

import (
	"fmt"
	"reflect"
)

// Codec encodes values for the shared tier. Implementations must be safe for
// concurrent use.
//
// A codec may also be a [TypeChecker], a [TypeDescriber] and a [Sizer]; one that
// wraps another should be the first two and hand on to [Check] and [Describe] of
// the inner one, and the third if it compresses.
type Codec interface {
	// Name identifies the encoding. It is stored with every value, so keep it
	// short, and change it when the encoding changes incompatibly.
	Name() string

	// Append appends the encoding of v to dst and returns the extended slice.
	// v is the value or a pointer to it; both encode alike. A pointer is
	// cheaper: it needs no copy. On an error the result is dst as it came.
	Append(dst []byte, v any) ([]byte, error)

	// Unmarshal decodes data into the value that v points to, which must be
	// zero beforehand and is undefined after an error. It neither keeps nor
	// changes data, and nothing in the value may share memory with it.
	Unmarshal(data []byte, v any) error
}

// TypeChecker is a [Codec] that knows which types it can carry. CheckType
// returns nil, or an error that names what would be lost.
type TypeChecker interface {
	CheckType(t reflect.Type) error
}

// TypeDescriber is a [Codec] that can describe how it encodes a type. Types with
// equal descriptions must be able to decode each other's values. The description
// must be the same in every process that has the same definition of the type.
type TypeDescriber interface {
	DescribeType(t reflect.Type) string
}

// Sizer is a [Codec] that compresses. Size returns how many bytes data takes when
// it is not compressed, without decompressing it, or len(data) if data is damaged.
type Sizer interface {
	Size(data []byte) int
}

// Size returns the size in bytes of the encoding in data without compression:
// what a value takes in memory is guessed from it. It is len(data) if c is no
// [Sizer].
func Size(c Codec, data []byte) int {
	if s, ok := c.(Sizer); ok {
		return s.Size(data)
	}
	return len(data)
}

// Check reports whether c can carry values of type t faithfully. The error
// joins one [*TypeError] for each part of t that would not come back as it was.
// A codec that is no [TypeChecker] is taken at its word: nil.
//
// Check walks the whole type; call it once per type, not once per value.
func Check(c Codec, t reflect.Type) error {
	if t == nil {
		return &TypeError{Codec: c.Name(), Path: "nil", Reason: "no type"}
	}
	if tc, ok := c.(TypeChecker); ok {
		return tc.CheckType(t)
	}
	return nil
}

// TypeError says which part of a type a codec cannot carry, and why.
type TypeError struct {
	Codec  string       // the codec's name
	Path   string       // from the checked type to the part: Order.Lines[].price
	Type   reflect.Type // type of the part
	Reason string
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("codec: %s cannot carry %s faithfully: %s", e.Codec, e.Path, e.Reason)
}
