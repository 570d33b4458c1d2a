package codec

import (
	"fmt"
	"reflect"
)

// Raw stores []byte, string, and types that are one of these underneath, as
// they are. A nil slice comes back empty. Its name is "raw". It is safe for
// concurrent use.
var Raw Codec = rawCodec{}

type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (c rawCodec) CheckType(t reflect.Type) error {
	if isRaw(t) {
		return nil
	}
	return &TypeError{Codec: c.Name(), Path: t.String(), Type: t, Reason: "it is neither bytes nor a string"}
}

func (rawCodec) DescribeType(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.String:
		return "string"
	case isRaw(t):
		return "bytes"
	}
	return describe(goDialect{}, t)
}

func isRaw(t reflect.Type) bool {
	return t.Kind() == reflect.String || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func (c rawCodec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return append(dst, v...), nil
	case string:
		return append(dst, v...), nil
	case *[]byte:
		if v != nil {
			return append(dst, *v...), nil
		}
	case *string:
		if v != nil {
			return append(dst, *v...), nil
		}
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return dst, fmt.Errorf("codec: encode %T: nil", v)
	}
	if err := c.CheckType(rv.Type()); err != nil {
		return dst, err
	}
	if rv.Kind() == reflect.String {
		return append(dst, rv.String()...), nil
	}
	return append(dst, rv.Bytes()...), nil
}

func (c rawCodec) Unmarshal(data []byte, v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return fmt.Errorf("codec: decode into %T: not a pointer to a value", v)
	}
	rv = rv.Elem()
	if err := c.CheckType(rv.Type()); err != nil {
		return err
	}
	if rv.Kind() == reflect.String {
		rv.SetString(string(data))
	} else {
		rv.SetBytes(append(make([]byte, 0, len(data)), data...))
	}
	return nil
}
