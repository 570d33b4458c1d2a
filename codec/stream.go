package codec

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// maxPooled is the largest encoding, in bytes, whose encoder or decoder goes
// back to the pool: their inner buffers can be as large as the value was and
// never shrink.
const maxPooled = 64 << 10

// appendWriter lets an encoder write straight to the end of the caller's slice.
type appendWriter struct{ buf []byte }

func (w *appendWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

func (w *appendWriter) WriteByte(c byte) error {
	w.buf = append(w.buf, c)
	return nil
}

var errExtEntered = errors.New("extension type where a map was expected")

// byteReader reads a message that [scanner] has found well formed. A trap is an
// offset at which ReadByte fails; see scanner.extension for why.
type byteReader struct {
	data  []byte
	off   int
	traps []int // ascending
}

func (r *byteReader) reset(data []byte, traps []int) {
	r.data, r.off, r.traps = data, 0, traps
}

func (r *byteReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.off == len(r.data) {
		return 0, io.EOF
	}
	n := copy(p, r.data[r.off:])
	r.off += n
	return n, nil
}

func (r *byteReader) ReadByte() (byte, error) {
	if r.off == len(r.data) {
		return 0, io.EOF
	}
	if len(r.traps) > 0 {
		if _, trapped := slices.BinarySearch(r.traps, r.off); trapped {
			return 0, errExtEntered
		}
	}
	c := r.data[r.off]
	r.off++
	return c, nil
}

func (r *byteReader) UnreadByte() error {
	if r.off == 0 {
		return errors.New("nothing to unread")
	}
	r.off--
	return nil
}

// bufferPool keeps buffers for what only passes through.
type bufferPool struct{ pool sync.Pool }

type buffer struct{ bytes []byte }

// maxBuffer is the capacity, in bytes, of the largest buffer that is kept: they
// are one or two for each processor, not one for each type.
const maxBuffer = 1 << 20

var buffers bufferPool

// get returns an empty buffer.
func (p *bufferPool) get() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		return b
	}
	return new(buffer)
}

// put takes a buffer back. Nothing may share memory with it any more.
func (p *bufferPool) put(b *buffer) {
	if cap(b.bytes) <= maxBuffer {
		b.bytes = b.bytes[:0]
		p.pool.Put(b)
	}
}
