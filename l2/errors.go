package l2

import (
	"errors"
	"fmt"
)

var (
	// ErrUnavailable is matched by every error that says that Redis gave no
	// usable answer in time: it was not reached, it was too slow, it refused, or
	// it is known to be down and was not asked. The error wraps the cause.
	ErrUnavailable = errors.New("l2: redis is unavailable")

	// ErrClosed is matched by the error of every call on a closed [Store].
	ErrClosed = errors.New("l2: store is closed")
)

// Why a value in Redis cannot be read. [Reply.Unreadable] matches one of them.
var (
	// ErrForeign: the key does not hold an envelope; something else wrote it.
	ErrForeign = errors.New("l2: not an envelope")
	// ErrLayout: the envelope has a layout that this version does not know.
	ErrLayout = errors.New("l2: envelope of another layout")
	// ErrTruncated: the envelope is not as long as it says it is.
	ErrTruncated = errors.New("l2: envelope has the wrong length")
	// ErrCorrupt: the envelope's content does not match its checksum, or makes
	// no sense.
	ErrCorrupt = errors.New("l2: envelope is corrupt")
)

// ErrTooLarge is matched by the error of a [Store.Fill] whose value does not fit
// into an envelope.
var ErrTooLarge = errors.New("l2: value too large")

// errTimeout, errBusy and errDown are causes of ErrUnavailable.
var (
	errTimeout = errors.New("no answer in time")
	errBusy    = errors.New("too many commands are waiting for an answer")
	errReply   = errors.New("unexpected reply")
)

// unavailable is the error of a call that got no usable answer because of cause.
func unavailable(cause error) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}
