package codec

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// MsgPack encodes with MessagePack, as github.com/vmihailenco/msgpack/v5 does
// with struct tags "msgpack", integers in their shortest form. Its name is
// "msgpack". It is the default codec, and safe for concurrent use.
var MsgPack Codec = msgPack{}

type msgPack struct{}

type msgpackEncoder struct {
	enc *msgpack.Encoder
	out appendWriter
}

type msgpackDecoder struct {
	dec *msgpack.Decoder
	in  byteReader
}

var (
	msgpackTypes = typeCache{dialect: msgpackDialect{}}

	// The library has pools of its own, but shares them with everyone else in
	// the process, whatever state their users leave the encoders in.
	msgpackEncoders = sync.Pool{New: func() any {
		e := new(msgpackEncoder)
		e.enc = msgpack.NewEncoder(&e.out)
		e.reset()
		return e
	}}
	msgpackDecoders = sync.Pool{New: func() any {
		d := new(msgpackDecoder)
		d.dec = msgpack.NewDecoder(&d.in)
		d.reset()
		return d
	}}
)

// reset forgets the last value. Compact integers only: compact floats would
// turn -0 into 0.
func (e *msgpackEncoder) reset() {
	e.out.buf = nil
	e.enc.Reset(&e.out)
	e.enc.UseCompactInts(true)
}

// reset forgets the last value. Lengths have been verified by the scanner, so
// the library may allocate at once what it would otherwise grow in steps. Its
// flag for preallocated values must stay off: for each type it would start a
// goroutine that never ends.
func (d *msgpackDecoder) reset() {
	d.in.reset(nil, nil)
	d.dec.Reset(&d.in)
	d.dec.DisableAllocLimit(true)
}

func (msgPack) Name() string { return "msgpack" }

func (msgPack) CheckType(t reflect.Type) error { return msgpackTypes.of(t).err }

func (msgPack) DescribeType(t reflect.Type) string { return describe(msgpackDialect{}, t) }

func (msgPack) Append(dst []byte, v any) ([]byte, error) {
	v, info, err := msgpackTypes.encodable(v)
	if err != nil {
		return dst, err
	}
	if info.recursive && !withinDepth(reflect.ValueOf(v), maxDepth) {
		return dst, fmt.Errorf("codec: encode %T: %w", v, errTooDeep)
	}

	e := msgpackEncoders.Get().(*msgpackEncoder)
	e.out.buf = dst
	if err := e.enc.Encode(v); err != nil {
		return dst, fmt.Errorf("codec: encode %T: %w", v, err) // and leave e to the collector
	}
	out := e.out.buf
	if len(out)-len(dst) <= maxPooled {
		e.reset()
		msgpackEncoders.Put(e)
	}
	if err := checkWellFormed(out[len(dst):]); err != nil {
		// An encoder of the value's own wrote something that is not one value:
		// an empty RawMessage, for one, writes nothing and shifts all that follows.
		return dst, fmt.Errorf("codec: encode %T: its encoding is malformed: %w", v, err)
	}
	return out, nil
}

func (msgPack) Unmarshal(data []byte, v any) error {
	info, err := msgpackTypes.decodable(v)
	if err != nil {
		return err
	}
	if len(data) == 1 && data[0] == msgpcode.Nil && !info.nilable {
		return fmt.Errorf("codec: decode %T: %w", v, errNil)
	}

	var s scanner
	if err := s.message(data); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}

	// No defer: a decoder that errs or panics is left to the collector, since
	// the library does not clear all of its state (Decoder.rec) on the way out.
	d := msgpackDecoders.Get().(*msgpackDecoder)
	d.in.reset(data, s.traps)
	if err := d.dec.Decode(v); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	if d.in.off != len(data) {
		return fmt.Errorf("codec: decode %T: %w", v, errTrailing)
	}
	if len(data) <= maxPooled {
		d.reset()
		msgpackDecoders.Put(d)
	}
	return nil
}

var errNil = errors.New("nil for a type that has no nil")

func checkWellFormed(encoding []byte) error {
	var s scanner
	return s.message(encoding)
}
