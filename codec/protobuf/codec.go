package protobuf

import (
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/doppio-cache/doppio/codec"
)

// Codec encodes messages in the wire format of protocol buffers. A nil message
// is a single zero byte, with which no message begins: there is no field 0. Its
// name is "protobuf". It is safe for concurrent use.
var Codec codec.Codec = messageCodec{}

type messageCodec struct{}

const name = "protobuf"

const nilMessage = 0

// Without lazy decoding: what is wrong with a value is to be found out now, and
// nothing of data is to be kept.
var unmarshal = proto.UnmarshalOptions{NoLazyDecoding: true}

var errTooDeep = errors.New("nested too deeply, or in itself")

func (messageCodec) Name() string { return name }

// CheckType returns a [*codec.TypeError] for whatever is no pointer to a
// generated message.
func (messageCodec) CheckType(t reflect.Type) error { return typeOf(t).err }

// DescribeType describes the message's descriptor, as text.
func (messageCodec) DescribeType(t reflect.Type) string {
	info := typeOf(t)
	if info.err != nil {
		return t.String()
	}
	return describe(info.descriptor)
}

func (messageCodec) Append(dst []byte, v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer && rv.Type().Elem().Kind() == reflect.Pointer {
		rv = rv.Elem() // a pointer to the value
	}
	if !rv.IsValid() {
		return dst, fmt.Errorf("protobuf: encode %T: nil", v)
	}
	info := typeOf(rv.Type())
	if info.err != nil {
		return dst, info.err
	}
	if rv.IsNil() {
		return append(dst, nilMessage), nil
	}
	m := rv.Interface().(proto.Message)
	if !info.withinDepth(m.ProtoReflect(), maxDepth) {
		return dst, fmt.Errorf("protobuf: encode %T: %w", m, errTooDeep)
	}
	out, err := proto.MarshalOptions{}.MarshalAppend(dst, m)
	if err != nil {
		return dst, fmt.Errorf("protobuf: encode %T: %w", m, err)
	}
	return out, nil
}

func (messageCodec) Unmarshal(data []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("protobuf: decode into %T: not a pointer to a value", v)
	}
	rv = rv.Elem()
	if err := typeOf(rv.Type()).err; err != nil {
		return err
	}
	if len(data) == 1 && data[0] == nilMessage {
		rv.SetZero()
		return nil
	}
	p := reflect.New(rv.Type().Elem())
	if err := unmarshal.Unmarshal(data, p.Interface().(proto.Message)); err != nil {
		return fmt.Errorf("protobuf: decode %v: %w", rv.Type(), err)
	}
	rv.Set(p)
	return nil
}
