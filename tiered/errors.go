package tiered

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of the package. Test for them with [errors.Is].
var (
	// ErrNotFound says that a key is in no tier. A load may return it, wrapped
	// or not, to say that the origin has no such thing.
	ErrNotFound = errors.New("doppio: not found")
	// ErrAbsent says that the origin is known to have no such thing (a
	// negative entry, or a load that has just said so): errors.Is(err, ErrNotFound)
	// holds, too. Test for this one, and not for the error that your load returned:
	// that is wrapped in the answer of the call that loaded, and is not remembered.
	ErrAbsent = fmt.Errorf("%w: known to be absent", ErrNotFound)
	// ErrUnchanged is what the load of [Region.LoadIf] returns to say that the value
	// is what it was. Where there was none the load has failed, with an error that is
	// no ErrUnchanged.
	ErrUnchanged = errors.New("doppio: unchanged")
	// ErrClosed says that the node was closed or is shutting down.
	ErrClosed = errors.New("doppio: node is closed")
	// ErrUnavailable says that the shared tier was needed and could not be used.
	ErrUnavailable = errors.New("doppio: shared tier is unavailable")
	// ErrLayout says that other instances use another number of partitions under the
	// same prefix, see [Options].Partitions. What it keeps from happening is an
	// ErrUnavailable, too.
	ErrLayout = errors.New("doppio: other instances use another layout")
	// ErrInvalidKey says that a key is empty or longer than [MaxKeyBytes].
	ErrInvalidKey = errors.New("doppio: invalid key")
	// ErrInvalidTag says that a tag is empty or longer than [MaxTagBytes], or
	// that there are more than [MaxTags] of them.
	ErrInvalidTag = errors.New("doppio: invalid tag")
	// ErrInvalidOption says that a setting makes no sense: one of [Options], of a
	// [Config], a [Coalescing] or a [Warming], or an [Option] for its call; or that a
	// function or receiver that the call needs is nil. What is wrong is named all at
	// once.
	ErrInvalidOption = errors.New("doppio: invalid option")
	// ErrLoadTimeout says that a load took longer than Config.LoadTimeout. It
	// is a [context.DeadlineExceeded] too.
	ErrLoadTimeout = errors.New("doppio: load timed out")
)

// PendingError says that Redis has not confirmed an invalidation: it may have
// happened or not. It is queued in this process and is sent again until it
// succeeds, so there is nothing to be repeated by the caller. Until then this
// instance neither serves nor stores the keys' cached values; other instances
// may serve what they have. errors.Is(err, ErrUnavailable) holds, too. Its fields
// must not be modified.
type PendingError struct {
	Refs   []Ref    // keys that are queued
	Tags   []string // tags that are
	Region string   // the region whose Clear is queued, in part or as a whole; empty if none is
	Err    error    // why it was not confirmed
}

func (e *PendingError) Error() string {
	const shown = 3
	var names []string
	for _, r := range e.Refs[:min(shown, len(e.Refs))] {
		names = append(names, r.String())
	}
	for _, tag := range e.Tags[:min(shown, len(e.Tags))] {
		names = append(names, fmt.Sprintf("tag %q", tag))
	}
	if more := len(e.Refs) + len(e.Tags) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if e.Region != "" {
		names = append(names, "region "+e.Region)
	}
	return fmt.Sprintf("doppio: invalidation of %s is queued, not confirmed: %v", strings.Join(names, ", "), e.Err)
}

// Unwrap returns the cause.
func (e *PendingError) Unwrap() error { return e.Err }

// CommittedError says that the write of a [Region.Mutate] has been carried out,
// and that its invalidation is not confirmed. It wraps why: as a rule a
// [*PendingError]. There is nothing to be repeated by the caller, least of all
// the write.
type CommittedError struct {
	Err error
}

func (e *CommittedError) Error() string {
	return fmt.Sprintf("doppio: the write was carried out, its invalidation is not confirmed: %v", e.Err)
}

// Unwrap returns why the invalidation is not confirmed.
func (e *CommittedError) Unwrap() error { return e.Err }

// LoadPanicError is what every caller that waits for a load gets when the load
// panics or calls [runtime.Goexit]. Its fields must not be modified: waiters share it.
type LoadPanicError struct {
	Region string
	Key    string
	Value  any    // what was passed to panic; nil after Goexit
	Goexit bool   // the load called runtime.Goexit
	Stack  []byte // of the load's goroutine; nil after Goexit
}

func (e *LoadPanicError) Error() string {
	if e.Goexit {
		return fmt.Sprintf("doppio: load of %s:%s called runtime.Goexit", e.Region, e.Key)
	}
	return fmt.Sprintf("doppio: load of %s:%s panicked: %v", e.Region, e.Key, e.Value)
}

// Unwrap returns the value passed to panic if that was an error.
func (e *LoadPanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// distinct joins errors that say different things. Partitions that fail together do so
// for one reason as a rule, and there may be hundreds of them.
func distinct(errs []error) error {
	said := make(map[string]struct{}, 1)
	var some []error
	for _, err := range errs {
		if _, known := said[err.Error()]; !known {
			said[err.Error()] = struct{}{}
			some = append(some, err)
		}
	}
	return errors.Join(some...)
}
