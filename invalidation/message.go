package invalidation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// MessageVersion is the version of the messages that this package writes, and
// the newest that it reads.
const MessageVersion = 1

// MaxHashes is the largest number of keys that one message names. An
// announcement of more concerns the whole partition.
const MaxHashes = 4096

// Errors of [Decode].
var (
	// ErrVersion is the error for a message of a version that is newer than
	// this package: something was invalidated, but what is not known.
	ErrVersion = errors.New("invalidation: message of a newer version")
	// ErrMalformed is the error for bytes that are no message.
	ErrMalformed = errors.New("invalidation: malformed message")
)

// Message says that an invalidation has been counted in Redis.
//
// On the wire it is a msgpack array: version, partition, origin, sequence,
// time, hashes; the hashes are one byte string, 8 bytes each, big endian.
// Sequence and time always take nine bytes, so that a Lua script can put them
// in without knowing msgpack; see [Encoder].
type Message struct {
	Partition int
	Seq       uint64   // number of the invalidation in its partition
	Time      int64    // Redis's clock when it was counted, in µs
	Origin    uint64   // the instance that asked for it
	Hashes    []uint64 // of the keys concerned; none: the whole partition
}

// maxSequence is the largest number that a Lua script can count exactly.
const maxSequence = 1<<53 - 1

const (
	fields   = 6
	hashSize = 8
)

// Decode reads one message. It accepts nothing but what an [Encoder] of this
// version can make, apart from the width of numbers: anything else is
// [ErrMalformed] or, if it begins as a message of a newer version would,
// [ErrVersion]. It never allocates more than the length of data.
func Decode(data []byte) (Message, error) {
	r := bytes.NewReader(data)
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(r)

	n, err := dec.DecodeArrayLen()
	if err != nil || n < 1 {
		return Message{}, malformed("no array", err)
	}
	version, err := decodeUint(dec)
	switch {
	case err != nil || version == 0:
		return Message{}, malformed("no version", err)
	case version > MessageVersion:
		return Message{}, fmt.Errorf("%w: %d, and this instance reads up to %d", ErrVersion, version, MessageVersion)
	case n != fields:
		return Message{}, malformed("wrong size", nil)
	}
	return decodeFields(dec, r)
}

func decodeFields(dec *msgpack.Decoder, r *bytes.Reader) (m Message, err error) {
	var number [4]uint64
	for i, limit := range [4]uint64{keyspace.MaxPartitions - 1, 1<<64 - 1, maxSequence, 1<<63 - 1} {
		if number[i], err = decodeUint(dec); err != nil || number[i] > limit {
			return Message{}, malformed("number out of range", err)
		}
	}
	size, err := decodeBinLen(dec)
	if err != nil || size != r.Len() || size%hashSize != 0 || size > MaxHashes*hashSize {
		return Message{}, malformed("hashes of a wrong length", err)
	}
	m = Message{Partition: int(number[0]), Origin: number[1], Seq: number[2], Time: int64(number[3])}
	if m.Seq == 0 {
		return Message{}, malformed("sequence 0", nil)
	}
	if size > 0 {
		buf := make([]byte, size)
		if err := dec.ReadFull(buf); err != nil {
			return Message{}, malformed("hashes", err)
		}
		m.Hashes = make([]uint64, 0, size/hashSize)
		for ; len(buf) > 0; buf = buf[hashSize:] {
			m.Hashes = append(m.Hashes, binary.BigEndian.Uint64(buf))
		}
	}
	return m, nil
}

// decodeUint reads an unsigned number. The library alone would also take a
// negative or fractional one, and wrap it.
func decodeUint(dec *msgpack.Decoder) (uint64, error) {
	c, err := dec.PeekCode()
	if err != nil {
		return 0, err
	}
	switch {
	case c <= msgpcode.PosFixedNumHigh,
		c == msgpcode.Uint8, c == msgpcode.Uint16, c == msgpcode.Uint32, c == msgpcode.Uint64:
		return dec.DecodeUint64()
	}
	return 0, errors.New("not an unsigned number")
}

// decodeBinLen reads the head of a byte string. The library alone would also
// take a text, or nil.
func decodeBinLen(dec *msgpack.Decoder) (int, error) {
	switch c, err := dec.PeekCode(); {
	case err != nil:
		return 0, err
	case c == msgpcode.Bin8, c == msgpcode.Bin16, c == msgpcode.Bin32:
		return dec.DecodeBytesLen()
	}
	return 0, errors.New("not a byte string")
}

func malformed(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %s: %v", ErrMalformed, what, err) //nolint:errorlint // the cause is for people; callers test for ErrMalformed
	}
	return fmt.Errorf("%w: %s", ErrMalformed, what)
}

// Append appends the encoded message to dst. Redis puts its messages together
// itself (see [Encoder]); this is for tests and tools. A message that [Decode]
// would refuse is an error.
func (m Message) Append(dst []byte) ([]byte, error) {
	switch {
	case m.Partition < 0 || m.Partition >= keyspace.MaxPartitions:
		return dst, fmt.Errorf("invalidation: partition %d is out of range", m.Partition)
	case m.Seq == 0 || m.Seq > maxSequence:
		return dst, fmt.Errorf("invalidation: sequence %d is out of range", m.Seq)
	case m.Time < 0:
		return dst, fmt.Errorf("invalidation: time %d is negative", m.Time)
	case len(m.Hashes) > MaxHashes:
		return dst, fmt.Errorf("invalidation: %d hashes, at most %d are allowed", len(m.Hashes), MaxHashes)
	}
	head, mid, tail := Encoder{Origin: m.Origin}.Announce(m.Partition, m.Hashes)
	dst = binary.BigEndian.AppendUint64(append(dst, head...), m.Seq)
	dst = binary.BigEndian.AppendUint64(append(dst, mid...), uint64(m.Time))
	return append(dst, tail...), nil
}

// Encoder makes the parts of the messages that an instance has published. It
// is safe for concurrent use.
type Encoder struct {
	Origin uint64 // the instance's id
}

// Announce makes the parts of a message about keys of a partition, or about
// the whole partition if there are none. The message is
//
//	head ‖ u64(sequence) ‖ mid ‖ u64(server time in µs) ‖ tail
//
// where u64 is 8 bytes, big endian: only the script that counts the
// invalidation knows the two numbers. More than [MaxHashes] keys make it a
// message about the whole partition, which voids more than is needed and
// never less.
func (e Encoder) Announce(partition int, hashes []uint64) (head, mid, tail []byte) {
	if len(hashes) > MaxHashes {
		hashes = nil
	}
	var buf bytes.Buffer
	buf.Grow(32 + hashSize*len(hashes))
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(&buf)

	// Writing to memory does not fail.
	_ = enc.EncodeArrayLen(fields)
	_ = enc.EncodeUint(MessageVersion)
	_ = enc.EncodeUint(uint64(partition))
	_ = enc.EncodeUint(e.Origin)
	buf.WriteByte(msgpcode.Uint64)
	headEnd := buf.Len()
	buf.WriteByte(msgpcode.Uint64)
	midEnd := buf.Len()
	_ = enc.EncodeBytesLen(hashSize * len(hashes))
	b := buf.Bytes()
	for _, h := range hashes {
		b = binary.BigEndian.AppendUint64(b, h)
	}
	return b[:headEnd:headEnd], b[headEnd:midEnd:midEnd], b[midEnd:]
}
