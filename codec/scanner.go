package codec

import (
	"encoding/binary"
	"errors"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// maxDepth is how deep a value may nest: one level for each struct, map, slice
// or array around it. encoding/json has the same limit. The decoder recurses,
// and a Go stack that reaches its limit ends the process: it cannot be recovered.
const maxDepth = 10_000

var (
	errTruncated = errors.New("truncated")
	errTrailing  = errors.New("bytes after the value")
	errTooDeep   = errors.New("nested deeper than 10000 levels, or cyclic")
	errBadCode   = errors.New("invalid MessagePack type byte")
)

// scanner checks that bytes are one well-formed MessagePack value, without
// decoding it (format: github.com/msgpack/msgpack, spec.md).
//
// The library allocates slices and byte strings as long as their header says,
// up to 4 Gi elements for five bytes of input, and recurses as deep as the input
// nests. After a scan no header claims more elements than bytes follow, and the
// nesting is bounded. A scanner is used once.
type scanner struct {
	data  []byte
	traps []int // offsets for byteReader; see extension
}

// message scans all of data.
func (s *scanner) message(data []byte) error {
	s.data = data
	end, err := s.value(0, 0)
	if err == nil && end < len(data) {
		err = errTrailing
	}
	return err
}

// value scans the value that begins at off and returns the offset behind it.
func (s *scanner) value(off, depth int) (int, error) {
	if off >= len(s.data) {
		return 0, errTruncated
	}
	c := s.data[off]
	off++
	switch {
	case c <= msgpcode.PosFixedNumHigh || c >= msgpcode.NegFixedNumLow:
		return off, nil
	case c <= msgpcode.FixedMapHigh:
		return s.elements(off, 2*int(c&msgpcode.FixedMapMask), depth)
	case c <= msgpcode.FixedArrayHigh:
		return s.elements(off, int(c&msgpcode.FixedArrayMask), depth)
	case c <= msgpcode.FixedStrHigh:
		return s.skip(off, int(c&msgpcode.FixedStrMask))
	}
	switch c {
	case msgpcode.Nil, msgpcode.False, msgpcode.True:
		return off, nil
	case msgpcode.Uint8, msgpcode.Int8:
		return s.skip(off, 1)
	case msgpcode.Uint16, msgpcode.Int16:
		return s.skip(off, 2)
	case msgpcode.Uint32, msgpcode.Int32, msgpcode.Float:
		return s.skip(off, 4)
	case msgpcode.Uint64, msgpcode.Int64, msgpcode.Double:
		return s.skip(off, 8)
	case msgpcode.FixExt1, msgpcode.FixExt2, msgpcode.FixExt4, msgpcode.FixExt8, msgpcode.FixExt16:
		return s.extension(off, 1<<(c-msgpcode.FixExt1), depth)
	}
	return s.sized(c, off, depth)
}

// sized scans a value whose header, after the type byte c, holds its length.
func (s *scanner) sized(c byte, off, depth int) (int, error) {
	width := 0
	switch c {
	case msgpcode.Str8, msgpcode.Bin8, msgpcode.Ext8:
		width = 1
	case msgpcode.Str16, msgpcode.Bin16, msgpcode.Ext16, msgpcode.Array16, msgpcode.Map16:
		width = 2
	case msgpcode.Str32, msgpcode.Bin32, msgpcode.Ext32, msgpcode.Array32, msgpcode.Map32:
		width = 4
	default:
		return 0, errBadCode
	}
	if len(s.data)-off < width {
		return 0, errTruncated
	}
	n := 0
	switch b := s.data[off:]; width {
	case 1:
		n = int(b[0])
	case 2:
		n = int(binary.BigEndian.Uint16(b))
	case 4:
		if u := binary.BigEndian.Uint32(b); u <= 1<<31-1 {
			n = int(u)
		} else {
			return 0, errTruncated // int may have 32 bits; no input is as long as this
		}
	}
	off += width
	switch c {
	case msgpcode.Array16, msgpcode.Array32:
		return s.elements(off, n, depth)
	case msgpcode.Map16, msgpcode.Map32:
		if n > len(s.data)-off {
			return 0, errTruncated // before 2*n, which may overflow
		}
		return s.elements(off, 2*n, depth)
	case msgpcode.Ext8, msgpcode.Ext16, msgpcode.Ext32:
		return s.extension(off, n, depth)
	}
	return s.skip(off, n)
}

func (s *scanner) skip(off, n int) (int, error) {
	if n > len(s.data)-off {
		return 0, errTruncated
	}
	return off + n, nil
}

// elements scans n values, each of which takes at least one byte.
func (s *scanner) elements(off, n, depth int) (int, error) {
	if n > len(s.data)-off {
		return 0, errTruncated
	}
	if depth++; depth > maxDepth {
		return 0, errTooDeep
	}
	var err error
	for ; n > 0; n-- {
		// Short strings and small integers, most of what there is, without a call.
		if off < len(s.data) {
			c := s.data[off]
			if msgpcode.IsFixedNum(c) {
				off++
				continue
			}
			if next := off + 1 + int(c&msgpcode.FixedStrMask); msgpcode.IsFixedString(c) && next <= len(s.data) {
				off = next
				continue
			}
		}
		if off, err = s.value(off, depth); err != nil {
			return 0, err
		}
	}
	return off, nil
}

// extension scans an extension whose type byte is at off.
//
// Where it expects a map, the library accepts an extension too: it skips the
// extension's header and reads on *inside* the body, which is opaque and can
// begin with a map header that lies about its length. So a body that looks like
// a map but is not well formed gets a trap: its first byte cannot be read as a
// type byte. Every decoder of extensions that takes the body as bytes, that of
// time.Time among them, does not notice. A body of one byte is no danger, since
// what follows it has been scanned; interned strings need to read it.
func (s *scanner) extension(off, n, depth int) (int, error) {
	body := off + 1
	if n > len(s.data)-body { // also if the type byte itself is missing
		return 0, errTruncated
	}
	end := body + n
	if n >= 2 && isMapCode(s.data[body]) && !s.sequence(body, end, depth) {
		s.traps = append(s.traps, body)
	}
	return end, nil
}

// sequence reports whether data[off:end] is a run of well-formed values. It
// leaves no trap of a run that is not.
func (s *scanner) sequence(off, end, depth int) bool {
	whole, traps := s.data, len(s.traps)
	s.data = whole[:end]
	defer func() { s.data = whole }()
	if depth++; depth > maxDepth {
		return false
	}
	for off < end {
		next, err := s.value(off, depth)
		if err != nil {
			s.traps = s.traps[:traps]
			return false
		}
		off = next
	}
	return true
}

func isMapCode(c byte) bool {
	return msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32
}
