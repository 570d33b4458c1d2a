package l2

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// Kind says what an envelope stands for.
type Kind uint8

// Kinds of values.
const (
	Live      Kind = iota // a value of the origin
	Negative              // the origin has no such thing
	Tombstone             // the key is about to change; nothing may be filled
)

// Value is the content of an envelope. Times are on Redis' clock, in µs since
// 1970; no clock of an instance goes into them.
//
// Codec, Schema, Tags, Validator and Payload of a value that was read are parts of the
// reply that it came in: keeping one of them keeps the whole reply in memory,
// and Payload must not be modified.
type Value struct {
	Kind    Kind
	Codec   string // name of the codec that wrote Payload
	Schema  string // identity of the encoded type
	Token   Token  // of the lease under which it was filled
	Seq     uint64 // sequence of the partition when that lease was granted
	Created int64  // when it was filled
	SoftEnd int64  // when its life ends; it may be kept for longer
	Tags    []Tag
	// Validator is what the origin calls this version of the value; empty if it has
	// no name for it.
	Validator string
	Payload   []byte
}

// Tag is a tag of a value, with the sequence of the tag's partition that the
// value is known to include.
type Tag struct {
	Name  string
	Stamp uint64
}

// The layout of an envelope, version 1, big endian. The scripts know the fixed
// part too: they splice in the times, so that only the clock of Redis counts,
// and compare kind, token and sequence.
//
//	 0  2  magic
//	 2  1  layout
//	 3  1  flags: the kind in the two low bits, the rest 0
//	 4  4  length of the envelope
//	 8  8  created, µs
//	16  8  soft end, µs
//	24 16  fill token
//	40  8  sequence at the lease's grant
//	48  8  checksum of these two: xxhash64
//	56  8  checksum of what follows: xxhash64, xor flags
//	64  1  length of the codec's name, then the name
//	    2  length of the schema, then the schema
//	    2  number of tags, then each: 2 length of its name, name, 8 stamp
//	    2  length of the validator, then the validator
//	       payload, up to the end
//
// The length finds what was cut off, the checksums what was changed: a codec
// takes a changed digit of a price for a price, so this is the only place where
// it can be noticed. xxhash64 costs about 0.1 µs per KiB. The times are outside
// the checksums because the scripts set them; they decide lives, not values.
// There are two checksums so that a value can be renewed in place, under another
// lease, by somebody who does not have its payload at hand.
const (
	magic      = "\xd0\x9f"
	layout     = 1
	kindMask   = 3
	atTotal    = 4
	atCreated  = 8
	atSoftEnd  = 16
	atToken    = 24
	atSeq      = 40
	atStampSum = 48
	atSum      = 56
	headerSize = 64
)

// maxEnvelope is the most that Redis accepts as a string by default.
const maxEnvelope = 512 << 20

// appendEnvelope appends the envelope of v to dst.
func appendEnvelope(dst []byte, v *Value) ([]byte, error) {
	if len(v.Codec) > math.MaxUint8 || len(v.Schema) > math.MaxUint16 || len(v.Tags) > math.MaxUint16 || len(v.Validator) > math.MaxUint16 {
		return nil, fmt.Errorf("%w: codec name of %d, schema of %d, validator of %d bytes, %d tags",
			ErrTooLarge, len(v.Codec), len(v.Schema), len(v.Validator), len(v.Tags))
	}
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, layout, byte(v.Kind))
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.Created))
	dst = binary.BigEndian.AppendUint64(dst, uint64(v.SoftEnd))
	dst = appendStamp(dst, v.Token, v.Seq)
	dst = binary.BigEndian.AppendUint64(dst, 0)
	dst = append(dst, byte(len(v.Codec)))
	dst = append(dst, v.Codec...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Schema)))
	dst = append(dst, v.Schema...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Tags)))
	for _, t := range v.Tags {
		if len(t.Name) > math.MaxUint16 {
			return nil, fmt.Errorf("%w: tag of %d bytes", ErrTooLarge, len(t.Name))
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(t.Name)))
		dst = append(dst, t.Name...)
		dst = binary.BigEndian.AppendUint64(dst, t.Stamp)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Validator)))
	dst = append(dst, v.Validator...)
	dst = append(dst, v.Payload...)
	env := dst[start:]
	if len(env) > maxEnvelope {
		return nil, fmt.Errorf("%w: %d bytes, Redis takes %d", ErrTooLarge, len(env), maxEnvelope)
	}
	binary.BigEndian.PutUint32(env[atTotal:], uint32(len(env)))
	binary.BigEndian.PutUint64(env[atSum:], xxhash.Sum64(env[headerSize:])^uint64(v.Kind))
	return dst, nil
}

// appendStamp appends what says under which lease a value was filled, with its
// checksum.
func appendStamp(dst []byte, token Token, seq uint64) []byte {
	start := len(dst)
	dst = append(dst, token[:]...)
	dst = binary.BigEndian.AppendUint64(dst, seq)
	return binary.BigEndian.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// envelopeSize is a close upper bound of what appendEnvelope appends.
func envelopeSize(v *Value) int {
	n := headerSize + 7 + len(v.Codec) + len(v.Schema) + len(v.Validator) + len(v.Payload)
	for _, t := range v.Tags {
		n += 10 + len(t.Name)
	}
	return n
}

// checkHead says why a string of n bytes that begins with head cannot be an
// envelope of this layout, or nil.
func checkHead(head string, n int) error {
	switch {
	case len(head) < len(magic)+1 || head[:len(magic)] != magic:
		return ErrForeign
	case head[len(magic)] != layout:
		return fmt.Errorf("%w: %d, this version knows %d", ErrLayout, head[len(magic)], layout)
	case n < headerSize || len(head) < atCreated:
		return fmt.Errorf("%w: %d bytes, the header alone has %d", ErrTruncated, n, headerSize)
	case int(u32(head[atTotal:])) != n:
		return fmt.Errorf("%w: %d bytes, it says %d", ErrTruncated, n, u32(head[atTotal:]))
	case head[3] > byte(Tombstone):
		return fmt.Errorf("%w: flags %#x", ErrCorrupt, head[3])
	}
	return nil
}

// parseEnvelope reads an envelope. The strings and the payload of the value are
// parts of s.
func parseEnvelope(s string) (v Value, err error) {
	if err := checkHead(s, len(s)); err != nil {
		return Value{}, err
	}
	sum, stamp := xxhash.Sum64String(s[headerSize:])^uint64(s[3]), xxhash.Sum64String(s[atToken:atStampSum])
	if sum != u64(s[atSum:]) || stamp != u64(s[atStampSum:]) {
		return Value{}, fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	v = Value{
		Kind:    Kind(s[3] & kindMask),
		Token:   Token([]byte(s[atToken:atSeq])),
		Seq:     u64(s[atSeq:atStampSum]),
		Created: int64(u64(s[atCreated:])),
		SoftEnd: int64(u64(s[atSoftEnd:])),
	}
	if v.Created < 0 || v.SoftEnd < v.Created {
		return Value{}, fmt.Errorf("%w: created %d, soft end %d", ErrCorrupt, v.Created, v.SoftEnd)
	}
	r := reader{rest: s[headerSize:]}
	v.Codec = r.take(r.uint8())
	v.Schema = r.take(r.uint16())
	v.Tags = r.tags()
	v.Validator = r.take(r.uint16())
	if r.short {
		return Value{}, fmt.Errorf("%w: a length points beyond the end", ErrCorrupt)
	}
	v.Payload = bytesOf(r.rest)
	return v, nil
}

// reader takes fields off the front of a string. Once one is missing it is
// short, and everything it returns is zero.
type reader struct {
	rest  string
	short bool
}

func (r *reader) take(n int) string {
	if r.short || n > len(r.rest) {
		r.short = true
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) uint8() int {
	if s := r.take(1); !r.short {
		return int(s[0])
	}
	return 0
}

func (r *reader) uint16() int {
	if s := r.take(2); !r.short {
		return int(s[0])<<8 | int(s[1])
	}
	return 0
}

func (r *reader) tags() []Tag {
	n := r.uint16()
	if n == 0 || r.short || n*10 > len(r.rest) {
		r.short = r.short || n > 0 // so that n bounds what is allocated
		return nil
	}
	tags := make([]Tag, n)
	for i := range tags {
		tags[i].Name = r.take(r.uint16())
		if stamp := r.take(8); !r.short {
			tags[i].Stamp = u64(stamp)
		}
	}
	return tags
}

func u32(s string) uint32 {
	return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
}

func u64(s string) uint64 { return uint64(u32(s))<<32 | uint64(u32(s[4:])) }

// bytesOf returns the bytes of s without copying them. The string is part of a
// reply that was read for one call and belongs to its caller, who is told not
// to modify the payload.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
