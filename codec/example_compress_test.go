package codec_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/doppio-cache/doppio/codec"
)

// Where a value becomes smaller it is stored compressed. How it is stored is
// written with it, so that settings may change while values remain.
func ExampleCompress() {
	page := strings.Repeat("<li>espresso cup, 60 ml</li>", 1000)
	readers := []codec.Codec{
		codec.Compress(codec.JSON), // S2, from 1 KiB on
		codec.Compress(codec.JSON, codec.WithAlgorithm(codec.Zstd), codec.WithThreshold(4<<10), codec.WithLimit(1<<20)),
		codec.Compress(codec.JSON, codec.WithThreshold(math.MaxInt)), // no longer, but what is stored stays readable
	}
	for _, writer := range readers {
		data, err := codec.Encode(writer, nil, page)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(writer.Name(), " small: ", len(data) < 300, ", read back by all:")
		for _, reader := range readers {
			var s string
			err := codec.Decode(reader, data, &s)
			fmt.Print(" ", err == nil && s == page)
		}
		fmt.Println()
	}
	// Output:
	// json+z small: true, read back by all: true true true
	// json+z small: true, read back by all: true true true
	// json+z small: false, read back by all: true true true
}

// A value that claims to inflate to more than the limit is an error, before any
// memory is taken for it.
func ExampleWithLimit() {
	bomb, err := codec.Encode(codec.Compress(codec.Raw, codec.WithAlgorithm(codec.Zstd)), nil, make([]byte, 16<<20))
	fmt.Println(len(bomb) < 2000, err)

	var b []byte
	fmt.Println(codec.Decode(codec.Compress(codec.Raw, codec.WithLimit(1<<20)), bomb, &b))

	// A setting that makes no sense is found by Check, and so by tiered.New.
	fmt.Println(codec.Check(codec.Compress(codec.Raw, codec.WithLimit(-1)), reflect.TypeFor[[]byte]()))
	// Output:
	// true <nil>
	// codec: decompress zstd: 16777216 bytes: larger than the limit of 1048576
	// codec: compress: the limit is -1, must be between 1 and 1073741824
}

// The function is ready for tiered's Config.Clone.
func ExampleCloner() {
	type Cart struct {
		Items map[string]int
		Note  *string
	}
	clone, err := codec.Cloner[*Cart](codec.MsgPack)
	if err != nil {
		fmt.Println(err)
		return
	}
	cached := &Cart{Items: map[string]int{"cup": 2}}
	mine := clone(cached)
	mine.Items["cup"]++
	fmt.Println(mine.Items, cached.Items)

	// What the codec cannot carry cannot be copied with it either.
	_, err = codec.Cloner[map[string]any](codec.MsgPack)
	fmt.Println(err)
	// Output:
	// map[cup:3] map[cup:2]
	// codec: cloner of map[string]interface {}: codec: msgpack cannot carry map[string]interface {}[] faithfully: interface: the dynamic type is lost (use a concrete type)
}
