package codec

import (
	"errors"
	"fmt"
	"reflect"
)

const (
	// DefaultThreshold is the size in bytes of the smallest encoding that
	// [Compress] tries to make smaller.
	DefaultThreshold = 1 << 10

	// DefaultLimit is the size in bytes of the largest value that [Compress]
	// makes smaller, and of the largest that it will decompress.
	DefaultLimit = 32 << 20

	maxLimit = 1 << 30
)

// ErrTooLarge is the error of a compressed value that would become larger than
// the limit of [WithLimit]. It is found out before memory is taken for it.
var ErrTooLarge = errors.New("larger than the limit")

// CompressOption is a setting of [Compress].
type CompressOption func(*compressed)

// WithAlgorithm says how values are compressed. Defaults to [S2].
func WithAlgorithm(a Algorithm) CompressOption {
	return func(c *compressed) { c.algorithm = a }
}

// WithThreshold is the size in bytes from which on an encoding is compressed;
// what is smaller is stored plain, without a try. Defaults to
// [DefaultThreshold]. 0: all are tried; math.MaxInt: none is, which is how
// compression is switched off without losing what is stored.
func WithThreshold(size int) CompressOption {
	return func(c *compressed) { c.threshold = size }
}

// WithLimit is the size in bytes up to which a value is decompressed. What
// claims to be larger is an [ErrTooLarge], so that a few bytes that inflate to
// gigabytes are an error and not the end of the process's memory. A larger value
// is stored plain, so that whatever is written can be read. Defaults to
// [DefaultLimit]; at most 1 GiB.
//
// This is the one setting that decides what can be read: a reader whose limit is
// below the writer's refuses the values between the two.
func WithLimit(size int) CompressOption {
	return func(c *compressed) { c.limit = size }
}

// Compress returns a codec that encodes with inner and stores the encoding
// compressed, where that makes it smaller by an eighth at least and it is
// neither below the threshold nor above the limit. All else is stored plain,
// which costs one byte and no copy.
//
// The first byte of each value says how that value is stored. So every Compress
// around the same inner codec reads what any other has written, whatever the
// settings of the two: the algorithm and the threshold can be changed at any
// time, also instance by instance.
//
// Its name is inner's with "+z", whatever the settings. A value that was written
// by inner alone has another name, and so has one of this codec to a reader that
// has inner alone: a region takes it for another version's, loads, and leaves it
// to expire. To begin or to cease wrapping a region's codec therefore costs what
// another Schema costs; WithThreshold(math.MaxInt) from the start, or at the
// end, does not.
//
// What can be carried and how it is described is decided by inner: [Check] and
// [Fingerprint] are its. A setting that makes no sense (a nil inner codec, an
// unknown algorithm, a negative threshold, a limit that is not between 1 byte and
// 1 GiB) is an [ErrInvalidOption] of Check for all types, hence of tiered.New, and of
// Append and Unmarshal.
//
// The result is safe for concurrent use if inner is.
func Compress(inner Codec, opts ...CompressOption) Codec {
	c := &compressed{inner: inner, algorithm: S2, threshold: DefaultThreshold, limit: DefaultLimit}
	for _, set := range opts {
		if set != nil {
			set(c)
		}
	}
	c.err = c.validate()
	c.name = "nil+z"
	if !isNil(inner) {
		c.name = inner.Name() + "+z"
	}
	return c
}

type compressed struct {
	inner     Codec
	name      string
	algorithm Algorithm
	threshold int
	limit     int
	err       error // what is wrong with the settings
}

func (c *compressed) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("codec: compress: "+format, args...)) }
	if isNil(c.inner) {
		errs = append(errs, fmt.Errorf("codec: compress: %w", errNilCodec))
	}
	if !c.algorithm.known() {
		bad("unknown algorithm %d", c.algorithm)
	}
	if c.threshold < 0 {
		bad("the threshold is negative (%d)", c.threshold)
	}
	if c.limit < 1 || c.limit > maxLimit {
		bad("the limit is %d, must be between 1 and %d", c.limit, maxLimit)
	}
	return invalid(errors.Join(errs...))
}

func isNil(c Codec) bool {
	v := reflect.ValueOf(c)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

func (c *compressed) Name() string { return c.name }

func (c *compressed) CheckType(t reflect.Type) error {
	if c.err != nil {
		return c.err
	}
	return Check(c.inner, t)
}

func (c *compressed) DescribeType(t reflect.Type) string {
	if isNil(c.inner) {
		return describe(goDialect{}, t)
	}
	return Describe(c.inner, t)
}

func (c *compressed) Append(dst []byte, v any) ([]byte, error) {
	if c.err != nil {
		return dst, c.err
	}
	out, err := c.inner.Append(append(dst, byte(uncompressed)), v)
	if err != nil {
		return dst, err
	}
	form := len(dst)
	encoding := out[form+1:]
	if len(encoding) < c.threshold || len(encoding) > c.limit {
		return out, nil
	}
	// Compressed elsewhere first: the encoding is where it has to be if it
	// cannot be made smaller.
	b := buffers.get()
	b.bytes = c.algorithm.compress(b.bytes, encoding)
	if isWorthwhile(len(b.bytes), len(encoding)) {
		out[form] = byte(c.algorithm)
		out = append(out[:form+1], b.bytes...)
	}
	buffers.put(b)
	return out, nil
}

// isWorthwhile reports whether a value is to be stored compressed: it has to
// become smaller by an eighth at least, as in RocksDB, since each read pays for
// decompressing it.
func isWorthwhile(compressed, encoding int) bool {
	return compressed <= encoding-(encoding+7)/8
}

func (c *compressed) Unmarshal(data []byte, v any) error {
	switch {
	case c.err != nil:
		return c.err
	case len(data) == 0:
		return errors.New("codec: decompress: no bytes at all")
	case Algorithm(data[0]) == uncompressed:
		return c.inner.Unmarshal(data[1:], v)
	case !Algorithm(data[0]).known():
		return fmt.Errorf("codec: decompress: stored in unknown form %d", data[0])
	}
	a, data := Algorithm(data[0]), data[1:]
	size, err := a.size(data)
	if err == nil && size > uint64(c.limit) {
		err = fmt.Errorf("%d bytes: %w of %d", size, ErrTooLarge, c.limit)
	}
	if err != nil {
		return fmt.Errorf("codec: decompress %v: %w", a, err)
	}
	// No defer: if inner panics, the buffer is left to the collector.
	b := buffers.get()
	if b.bytes, err = a.decompress(b.bytes, data, int(size)); err != nil {
		err = fmt.Errorf("codec: decompress %v: %w", a, err)
	} else {
		err = c.inner.Unmarshal(b.bytes, v)
	}
	buffers.put(b)
	return err
}

// Size is the size of the encoding before it was compressed.
func (c *compressed) Size(data []byte) int {
	if c.err != nil || len(data) == 0 {
		return len(data)
	}
	a := Algorithm(data[0])
	if a == uncompressed {
		return Size(c.inner, data[1:])
	}
	if a.known() {
		if size, err := a.size(data[1:]); err == nil && size <= uint64(c.limit) {
			return int(size)
		}
	}
	return len(data)
}
