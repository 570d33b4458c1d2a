package codec

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Algorithm is a way to compress. Its number is the first byte of the values
// that are stored so: no number ever gets another meaning.
type Algorithm uint8

const (
	uncompressed Algorithm = 0

	// S2 is Snappy with longer matches, a block of
	// github.com/klauspost/compress/s2: fast in both directions.
	S2 Algorithm = 1

	// Zstd is a frame of Zstandard (RFC 8878) at its default level: smaller, at
	// several times the cost of S2.
	Zstd Algorithm = 2
)

func (a Algorithm) known() bool { return a == S2 || a == Zstd }

// String returns the name: "s2" or "zstd".
func (a Algorithm) String() string {
	switch a {
	case uncompressed:
		return "plain"
	case S2:
		return "s2"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("algorithm(%d)", uint8(a))
}

// compress returns src compressed, in the memory of buf if it has room. It may
// be larger than src.
func (a Algorithm) compress(buf, src []byte) []byte {
	if a == S2 {
		return s2.Encode(buf, src)
	}
	enc := zstdEncoders.Get().(*zstd.Encoder)
	out := enc.EncodeAll(src, slices.Grow(buf[:0], len(src)))
	zstdEncoders.Put(enc)
	return out
}

// size returns how many bytes data claims to decompress to.
func (a Algorithm) size(data []byte) (uint64, error) {
	if a == S2 {
		size, err := s2.DecodedLen(data)
		return uint64(size), err
	}
	return zstdSize(data)
}

// decompress returns what was compressed to data: size bytes, no more and no
// less, in the memory of buf if it has room. On an error buf may be overwritten.
func (a Algorithm) decompress(buf, data []byte, size int) ([]byte, error) {
	if a == S2 {
		out, err := s2.Decode(slices.Grow(buf[:0], size), data)
		if err != nil {
			return buf, err
		}
		return out, nil
	}
	// The library ends at the size in the header of the frame.
	dec := zstdDecoders.Get().(*zstd.Decoder)
	out, err := dec.DecodeAll(data, slices.Grow(buf[:0], size+zstdRoom))
	if err != nil {
		return buf, err // and leave dec to the collector
	}
	zstdDecoders.Put(dec)
	if len(out) != size {
		return buf, errors.New("not of the size in its header")
	}
	return out, nil
}

const (
	// zstdWindow is how far back in a value, in bytes, repetitions are found. It
	// bounds what an encoder keeps: 1.6 MiB, and with values of more than 128 KiB
	// 3.7 MiB, where the library's own choice of 8 MiB comes to 18.
	zstdWindow = 1 << 20

	// zstdRoom is what the library likes to have behind the decoded value, to
	// copy in larger steps.
	zstdRoom = 16

	zstdMaxBlock = 128 << 10 // decoded; RFC 8878, 3.1.1.2.4
)

// With a concurrency of 1 the library starts no goroutine for whole values, so
// encoders and decoders need no Close and can be left to the collector. The
// envelope around a stored value has a checksum; a frame's own would be a second.
var (
	zstdEncoders = sync.Pool{New: func() any {
		enc, _ := zstd.NewWriter(nil, // fails for bad options only
			zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow),
			zstd.WithSingleSegment(true), // so that small frames too say their size
			zstd.WithEncoderCRC(false))
		return enc
	}}
	zstdDecoders = sync.Pool{New: func() any {
		dec, _ := zstd.NewReader(nil, // fails for bad options only
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(maxLimit))
		return dec
	}}
)

// zstdSize returns the size in the header of the zstd frame that data has to be
// (RFC 8878, 3.1.1). It goes through the blocks, because the library would also
// take several frames, frames that are to be skipped, and up to three bytes
// behind them; and because a size that so many blocks cannot come to is not to
// be believed.
func zstdSize(data []byte) (uint64, error) {
	var h zstd.Header
	switch err := h.Decode(data); {
	case err != nil:
		return 0, err
	case h.Skippable:
		return 0, errors.New("a frame without a value")
	case !h.HasFCS || h.FrameContentSize > math.MaxInt64:
		return 0, errors.New("a frame without its size")
	case h.DictionaryID != 0:
		return 0, errors.New("a frame that needs a dictionary")
	}
	rest := data[h.HeaderSize:]
	most := uint64(0)
	for last := false; !last; most += zstdMaxBlock {
		if len(rest) < 3 {
			return 0, errTruncated
		}
		block := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
		last = block&1 != 0
		n := block >> 3
		if block>>1&3 == 1 { // one byte, n times
			n = 1
		}
		if len(rest) < 3+n {
			return 0, errTruncated
		}
		rest = rest[3+n:]
	}
	if h.HasCheckSum {
		if len(rest) < 4 {
			return 0, errTruncated
		}
		rest = rest[4:]
	}
	if len(rest) > 0 {
		return 0, errTrailing
	}
	if h.FrameContentSize > most {
		return 0, errors.New("more bytes promised than there can be")
	}
	return h.FrameContentSize, nil
}
