package tiered

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// BatchError is the error of a call for several keys: it says which of them
// failed, and why. All others have been served. [errors.Is] and [errors.As] look
// at the errors of all keys. Its fields must not be modified: waiters share it.
//
// A load function for several keys may return one too, to say what is the matter
// with single keys: see [Region.GetOrLoadMany].
type BatchError struct {
	Region string           // empty in one that a load returns
	Errs   map[string]error // by key; at least one
}

// What a message shows of a BatchError, which may have thousands of keys.
const (
	shownKeys  = 3
	shownKey   = 64  // bytes of a key
	shownCause = 200 // bytes of an error's message
)

// Keys are those that failed, in order.
func (e *BatchError) Keys() []string {
	if e == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(e.Errs))
}

// Error names the first keys, in order, with their errors.
func (e *BatchError) Error() string {
	if e == nil { // in an interface; a load's is taken for no error
		return "doppio: no keys failed"
	}
	var b strings.Builder
	noun := "keys"
	if len(e.Errs) == 1 {
		noun = "key"
	}
	fmt.Fprintf(&b, "doppio: %d %s failed", len(e.Errs), noun)
	if e.Region != "" {
		fmt.Fprintf(&b, " in region %s", e.Region)
	}
	for i, key := range e.Keys() {
		if i == shownKeys {
			fmt.Fprintf(&b, "; and %d more", len(e.Errs)-shownKeys)
			break
		}
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&b, "%s%q: %s", separator, cut(key, shownKey), cut(fmt.Sprint(e.Errs[key]), shownCause))
	}
	return b.String()
}

// Unwrap returns the errors, in the order of their keys.
func (e *BatchError) Unwrap() []error {
	if e == nil {
		return nil
	}
	errs := make([]error, 0, len(e.Errs))
	for _, key := range e.Keys() {
		errs = append(errs, e.Errs[key])
	}
	return errs
}

// cut returns the beginning of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// batchFailed is a BatchError, or nil if no key has failed.
func batchFailed(region string, errs map[string]error) error {
	if len(errs) == 0 {
		return nil
	}
	return &BatchError{Region: region, Errs: errs}
}

// loadError is the error of a load for several keys. A nil *BatchError, which it may
// have declared to collect errors in, is none.
func loadError(err error) error {
	if batch, ok := err.(*BatchError); ok && batch == nil { //nolint:errorlint // one that is wrapped is no nil
		return nil
	}
	return err
}

// leftOut is the error of a key that a load for several keys has left out.
// Without an error there is no such thing. A BatchError can say what is the
// matter with a key as a load for that key alone could.
func leftOut(key string, err error) error {
	if err == nil {
		return ErrNotFound
	}
	if batch, ok := err.(*BatchError); ok { //nolint:errorlint // one that is wrapped may be about other keys, of another region
		if own := batch.Errs[key]; own != nil {
			var panicked *LoadPanicError
			if errors.As(own, &panicked) {
				return &batchFailure{own} // whatever it panicked with
			}
			return own
		}
	}
	return &batchFailure{err}
}

// batchFailure is the error of a load for several keys, to a key that it says
// nothing about: not that there is no such thing either, whatever it wraps.
type batchFailure struct{ err error }

func (e *batchFailure) Error() string { return e.err.Error() }

func (e *batchFailure) Is(target error) bool {
	return target != ErrNotFound && target != ErrAbsent && errors.Is(e.err, target)
}

func (e *batchFailure) As(target any) bool { return errors.As(e.err, target) }
