package protobuf_test

import (
	"context"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/codec/protobuf"
	"github.com/doppio-cache/doppio/tiered"
)

// A region of messages, from which each caller gets a copy of its own. (Local
// needs no Redis; with Redis the messages are stored there in wire format.)
func Example() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Prefix: "shop", Local: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close() }()
	settings, err := tiered.New(node, tiered.Config[*structpb.Struct]{
		Name:  "settings",
		Codec: protobuf.Codec,
		Clone: proto.CloneOf[*structpb.Struct],
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	load := func(context.Context, string) (*structpb.Struct, error) {
		return structpb.NewStruct(map[string]any{"theme": "dark"})
	}
	for range 2 {
		s, err := settings.GetOrLoad(ctx, "ada", load)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(s.Fields["theme"].GetStringValue())
		s.Fields["theme"] = structpb.NewStringValue("mine alone")
	}

	// What is no message is refused when the region is declared.
	_, err = tiered.New(node, tiered.Config[string]{Name: "names", Codec: protobuf.Codec})
	fmt.Println(err)
	// Output:
	// dark
	// dark
	// doppio: invalid option: Config of region "names": value type: codec: protobuf cannot carry string faithfully: it is no pointer to a generated message
}

func ExampleCodec() {
	data, err := codec.Encode(protobuf.Codec, nil, wrapperspb.String("cup"))
	fmt.Printf("%q %v\n", data, err)

	var v *wrapperspb.StringValue
	fmt.Println(codec.Decode(protobuf.Codec, data, &v), v.GetValue())
	fmt.Println(codec.Decode(protobuf.Codec, data[:3], &v) != nil)
	fmt.Println(codec.Describe(protobuf.Codec, reflect.TypeFor[*wrapperspb.StringValue]()))
	// Output:
	// "\n\x03cup" <nil>
	// <nil> cup
	// true
	// google.protobuf.StringValue{1 value string}
}
