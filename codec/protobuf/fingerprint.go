package protobuf

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// describe writes what of a message decides its encoding and its meaning, each
// message where it first occurs and its name alone after that:
//
//	shop.User{1 name string,2 address optional shop.Address{1 street string},3 tags repeated string}
func describe(d protoreflect.MessageDescriptor) string {
	w := describer{seen: map[protoreflect.FullName]bool{}}
	w.message(d)
	return w.String()
}

type describer struct {
	seen map[protoreflect.FullName]bool
	strings.Builder
}

func (w *describer) message(d protoreflect.MessageDescriptor) {
	w.WriteString(string(d.FullName()))
	if w.seen[d.FullName()] {
		return
	}
	w.seen[d.FullName()] = true
	fields := make([]protoreflect.FieldDescriptor, d.Fields().Len())
	for i := range fields {
		fields[i] = d.Fields().Get(i)
	}
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number()) - int(b.Number()) })
	w.WriteString("{")
	for i, f := range fields {
		if i > 0 {
			w.WriteString(",")
		}
		w.WriteString(strconv.Itoa(int(f.Number())) + " " + string(f.Name()) + " ")
		w.field(f)
	}
	w.WriteString("}")
}

func (w *describer) field(f protoreflect.FieldDescriptor) {
	switch {
	case f.IsMap():
		w.WriteString("map<" + f.MapKey().Kind().String() + ",")
		w.kind(f.MapValue())
		w.WriteString(">")
		return
	case f.ContainingOneof() != nil && !f.ContainingOneof().IsSynthetic():
		w.WriteString("oneof " + string(f.ContainingOneof().Name()) + " ")
	case f.Cardinality() != protoreflect.Optional: // repeated or required
		w.WriteString(f.Cardinality().String() + " ")
	case f.HasPresence():
		w.WriteString("optional ")
	}
	w.kind(f)
}

func (w *describer) kind(f protoreflect.FieldDescriptor) {
	switch f.Kind() {
	case protoreflect.EnumKind:
		w.WriteString("enum " + string(f.Enum().FullName()))
	case protoreflect.GroupKind:
		w.WriteString("group ")
		w.message(f.Message())
	case protoreflect.MessageKind:
		w.message(f.Message())
	default:
		w.WriteString(f.Kind().String())
	}
}
