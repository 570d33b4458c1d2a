package codec_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/doppio-cache/doppio/codec"
)

func Example() {
	type Product struct {
		SKU   string `msgpack:"sku"`
		Price int64  `msgpack:"price"`
	}
	data, err := codec.Encode(codec.MsgPack, nil, &Product{SKU: "cup", Price: 1290})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", data)

	var p Product
	if err := codec.Decode(codec.MsgPack, data, &p); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p)
	fmt.Println(codec.Decode(codec.MsgPack, data[:8], &p))
	// Output:
	// "\x82\xa3sku\xa3cup\xa5price\xcd\x05\n"
	// {cup 1290}
	// codec: decode *codec_test.Product: truncated
}

func ExampleCheck() {
	type Order struct {
		ID       int
		customer string
		Extra    map[string]any
	}
	fmt.Println(codec.Check(codec.MsgPack, reflect.TypeFor[Order]()))
	// Output:
	// codec: msgpack cannot carry Order.customer faithfully: unexported field (add an encoder, tag it "-", or export it)
	// codec: msgpack cannot carry Order.Extra[] faithfully: interface: the dynamic type is lost (use a concrete type)
}

func ExampleFingerprint() {
	type Before struct {
		ID   int64
		Name string
	}
	type Renamed struct { // another name, and other places of the fields: the same encoding
		Name string
		ID   int64
	}
	type Longer struct {
		ID    int64
		Name  string
		Email string
	}
	for _, t := range []reflect.Type{reflect.TypeFor[Before](), reflect.TypeFor[Renamed](), reflect.TypeFor[Longer]()} {
		fmt.Println(codec.Fingerprint(codec.MsgPack, t), codec.Describe(codec.MsgPack, t))
	}
	// Output:
	// 895cf9c1eb3887b1 #0{"ID":int64,"Name":string}
	// 895cf9c1eb3887b1 #0{"ID":int64,"Name":string}
	// 6737eb2d211158ef #0{"Email":string,"ID":int64,"Name":string}
}

// Deflated compresses what another codec encodes. What may be stored is still
// decided by that codec.
type Deflated struct{ Inner codec.Codec }

const maxInflated = 16 << 20 // a few bytes may inflate to very many

func (d Deflated) Name() string { return d.Inner.Name() + "+deflate" }

func (d Deflated) CheckType(t reflect.Type) error     { return codec.Check(d.Inner, t) }
func (d Deflated) DescribeType(t reflect.Type) string { return codec.Describe(d.Inner, t) }

func (d Deflated) Append(dst []byte, v any) ([]byte, error) {
	plain, err := d.Inner.Append(nil, v)
	if err != nil {
		return dst, err
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return dst, err
	}
	if _, err := w.Write(plain); err != nil {
		return dst, err
	}
	if err := w.Close(); err != nil {
		return dst, err
	}
	return append(dst, out.Bytes()...), nil
}

func (d Deflated) Unmarshal(data []byte, v any) error {
	in := bytes.NewReader(data)
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(in), maxInflated+1))
	switch {
	case err != nil:
		return err
	case len(plain) > maxInflated:
		return errors.New("too large")
	case in.Len() > 0:
		return errors.New("bytes after the value")
	}
	return d.Inner.Unmarshal(plain, v)
}

// A codec may wrap another one.
func ExampleCodec() {
	var c codec.Codec = Deflated{codec.JSON}
	data, err := codec.Encode(c, nil, strings.Repeat("doppio ", 1000))
	fmt.Println(c.Name(), len(data) < 100, err)

	var s string
	fmt.Println(codec.Decode(c, data, &s), len(s))
	fmt.Println(codec.Check(c, reflect.TypeFor[func()]()))
	fmt.Println(codec.Fingerprint(c, reflect.TypeFor[int]()) == codec.Fingerprint(codec.JSON, reflect.TypeFor[int]()))
	// Output:
	// json+deflate true <nil>
	// <nil> 7000
	// codec: json cannot carry func() faithfully: kind func has no encoding
	// true
}
