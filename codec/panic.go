package codec

import (
	"fmt"
	"runtime/debug"
)

// Encode is c.Append with a panic turned into a [*PanicError]. On an error the
// result is dst as it came.
func Encode(c Codec, dst []byte, v any) (out []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = dst, newPanicError(c, "Append", r)
		}
	}()
	return c.Append(dst, v)
}

// Decode is c.Unmarshal with a panic turned into a [*PanicError]. After any
// error the value that v points to is undefined.
func Decode(c Codec, data []byte, v any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = newPanicError(c, "Unmarshal", r)
		}
	}()
	return c.Unmarshal(data, v)
}

// PanicError is a panic in a codec, or in a method that a codec called.
type PanicError struct {
	Codec string // type of the codec; its Name might be what panicked
	Op    string // "Append" or "Unmarshal"
	Value any    // what was panicked with
	Stack []byte // of the panicking goroutine, as debug.Stack prints it
}

func newPanicError(c Codec, op string, value any) *PanicError {
	return &PanicError{Codec: fmt.Sprintf("%T", c), Op: op, Value: value, Stack: debug.Stack()}
}

// Error leaves the stack out: it is for a log field of its own.
func (e *PanicError) Error() string {
	return fmt.Sprintf("codec: panic in %s.%s: %v", e.Codec, e.Op, e.Value)
}

// Unwrap returns the value of the panic if that is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
