package codec

import "errors"

// ErrInvalidOption is what the error of a setting of [Compress] that makes no sense is,
// and that of a [Cloner] of a type that the codec cannot carry. What is wrong is named
// all at once.
var ErrInvalidOption = errors.New("codec: invalid option")

// invalidError makes an error an ErrInvalidOption. It says enough by itself.
type invalidError struct{ error }

func (e invalidError) Is(target error) bool { return target == ErrInvalidOption }
func (e invalidError) Unwrap() error        { return e.error }

// invalid returns nil for nil.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return invalidError{err}
}
