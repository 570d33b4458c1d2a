package protobuf

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/doppio-cache/doppio/codec"
)

// TestDescriptions: the text is hashed into what is stored with every value, so
// it must stay as it is.
func TestDescriptions(t *testing.T) {
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[*wrapperspb.StringValue](): "google.protobuf.StringValue{1 value string}",
		reflect.TypeFor[*timestamppb.Timestamp]():  "google.protobuf.Timestamp{1 seconds int64,2 nanos int32}",
		reflect.TypeFor[*string]():                 "*string",
		reflect.TypeFor[*structpb.Struct](): "google.protobuf.Struct{1 fields map<string,google.protobuf.Value{1 null_value oneof kind enum google.protobuf.NullValue," +
			"2 number_value oneof kind double,3 string_value oneof kind string,4 bool_value oneof kind bool,5 struct_value oneof kind google.protobuf.Struct," +
			"6 list_value oneof kind google.protobuf.ListValue{1 values repeated google.protobuf.Value}}>}",
		reflect.TypeFor[*descriptorpb.UninterpretedOption_NamePart](): "google.protobuf.UninterpretedOption.NamePart{1 name_part required string,2 is_extension required bool}",
	} {
		if got := codec.Describe(Codec, typ); got != want {
			t.Errorf("%v:\n%s\nwant\n%s", typ, got, want)
		}
	}
}

// user is a message as a .proto file would have it.
func user() *descriptorpb.FileDescriptorProto {
	field := func(number int32, name string, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: &typ, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	address := field(2, "address", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE)
	address.TypeName = proto.String(".shop.Address")
	state := field(3, "state", descriptorpb.FieldDescriptorProto_TYPE_ENUM)
	state.TypeName = proto.String(".shop.State")
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("User"), Field: []*descriptorpb.FieldDescriptorProto{
				field(1, "name", descriptorpb.FieldDescriptorProto_TYPE_STRING), address, state,
			}},
			{Name: proto.String("Address"), Field: []*descriptorpb.FieldDescriptorProto{
				field(1, "street", descriptorpb.FieldDescriptorProto_TYPE_STRING),
			}},
		},
		EnumType: []*descriptorpb.EnumDescriptorProto{{
			Name: proto.String("State"), Value: []*descriptorpb.EnumValueDescriptorProto{{Name: proto.String("NEW"), Number: proto.Int32(0)}},
		}},
	}
}

func describeFile(t *testing.T, file *descriptorpb.FileDescriptorProto) string {
	t.Helper()
	f, err := protodesc.NewFile(file, new(protoregistry.Files))
	if err != nil {
		t.Fatal(err)
	}
	var d protoreflect.MessageDescriptor
	for i := range f.Messages().Len() {
		if m := f.Messages().Get(i); d == nil || len(m.FullName()) < len(d.FullName()) {
			d = m // User has the shortest name
		}
	}
	return describe(d)
}

func TestFingerprintFollowsTheDescriptor(t *testing.T) {
	const want = "shop.User{1 name string,2 address optional shop.Address{1 street string},3 state enum shop.State}"
	before := describeFile(t, user())
	if before != want {
		t.Fatalf("got %s, want %s", before, want)
	}
	type file = descriptorpb.FileDescriptorProto
	first := func(f *file) *descriptorpb.FieldDescriptorProto { return f.MessageType[0].Field[0] }
	for name, change := range map[string]struct {
		change func(*file)
		shows  bool
	}{
		"field renamed":         {func(f *file) { first(f).Name = proto.String("title") }, true},
		"field renumbered":      {func(f *file) { first(f).Number = proto.Int32(9) }, true},
		"field of another type": {func(f *file) { first(f).Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum() }, true},
		"field repeated":        {func(f *file) { first(f).Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum() }, true},
		"field removed":         {func(f *file) { f.MessageType[0].Field = f.MessageType[0].Field[:2] }, true},
		"inner field renamed":   {func(f *file) { f.MessageType[1].Field[0].Name = proto.String("road") }, true},
		"message renamed":       {func(f *file) { f.MessageType[0].Name = proto.String("Who") }, true},
		"package renamed":       {func(f *file) { rename(f) }, true},
		"field made optional":   {func(f *file) { optional(f) }, true},
		"field in a oneof":      {func(f *file) { oneof(f) }, true},
		"json name":             {func(f *file) { first(f).JsonName = proto.String("n") }, false},
		"deprecated":            {func(f *file) { first(f).Options = &descriptorpb.FieldOptions{Deprecated: proto.Bool(true)} }, false},
		"declared in other order": {func(f *file) {
			fields := f.MessageType[0].Field
			fields[0], fields[2] = fields[2], fields[0]
		}, false},
		"reserved": {func(f *file) { f.MessageType[0].ReservedName = []string{"old"} }, false},
		"enum value added": {func(f *file) {
			f.EnumType[0].Value = append(f.EnumType[0].Value, &descriptorpb.EnumValueDescriptorProto{Name: proto.String("OLD"), Number: proto.Int32(1)})
		}, false},
	} {
		f := user()
		change.change(f)
		if after := describeFile(t, f); (after != before) != change.shows {
			t.Errorf("%s: %s", name, after)
		}
	}
}

func rename(f *descriptorpb.FileDescriptorProto) {
	f.Package = proto.String("store")
	f.MessageType[0].Field[1].TypeName = proto.String(".store.Address")
	f.MessageType[0].Field[2].TypeName = proto.String(".store.State")
}

func optional(f *descriptorpb.FileDescriptorProto) {
	oneof(f)
	f.MessageType[0].OneofDecl[0].Name = proto.String("_name")
	f.MessageType[0].Field[0].Proto3Optional = proto.Bool(true)
}

func oneof(f *descriptorpb.FileDescriptorProto) {
	f.MessageType[0].OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String("choice")}}
	f.MessageType[0].Field[0].OneofIndex = proto.Int32(0)
}
