package codec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
)

// JSON encodes with encoding/json, without escaping HTML. Its name is "json".
// It is safe for concurrent use.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

type jsonEncoder struct {
	enc *json.Encoder
	out appendWriter
}

var (
	jsonTypes = typeCache{dialect: jsonDialect{}}

	jsonEncoders = sync.Pool{New: func() any {
		e := new(jsonEncoder)
		e.enc = json.NewEncoder(&e.out)
		e.enc.SetEscapeHTML(false)
		return e
	}}
)

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) CheckType(t reflect.Type) error { return jsonTypes.of(t).err }

func (jsonCodec) DescribeType(t reflect.Type) string { return describe(jsonDialect{}, t) }

func (jsonCodec) Append(dst []byte, v any) ([]byte, error) {
	v, _, err := jsonTypes.encodable(v)
	if err != nil {
		return dst, err
	}
	e := jsonEncoders.Get().(*jsonEncoder)
	e.out.buf = dst
	if err := e.enc.Encode(v); err != nil {
		return dst, fmt.Errorf("codec: encode %T: %w", v, err)
	}
	out := e.out.buf
	e.out.buf = nil // e holds no other buffer: encoding/json has its own pool
	jsonEncoders.Put(e)
	return out[:len(out)-1], nil // without the newline that Encode adds
}

func (jsonCodec) Unmarshal(data []byte, v any) error {
	info, err := jsonTypes.decodable(v)
	if err != nil {
		return err
	}
	if string(data) == "null" && !info.nilable {
		return fmt.Errorf("codec: decode %T: %w", v, errNil)
	}
	// Unmarshal judges all of data first: one value, no more, nested at most
	// 10,000 levels. It grows slices as it goes, so lengths cannot lie.
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("codec: decode %T: %w", v, err)
	}
	return nil
}
