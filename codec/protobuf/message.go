package protobuf

import (
	"reflect"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/doppio-cache/doppio/codec"
)

// typeInfo is what the codec has to know about a type before it meets a value.
type typeInfo struct {
	err        error // why values cannot be carried, or nil
	descriptor protoreflect.MessageDescriptor
	flat       map[protoreflect.FullName]bool // messages in it whose types limit their depth
}

var types sync.Map // reflect.Type to *typeInfo

func typeOf(t reflect.Type) *typeInfo {
	if info, ok := types.Load(t); ok {
		return info.(*typeInfo)
	}
	info, _ := types.LoadOrStore(t, inspect(t))
	return info.(*typeInfo)
}

var messageType = reflect.TypeFor[proto.Message]()

func inspect(t reflect.Type) *typeInfo {
	d, reason := descriptorOf(t)
	if reason != "" {
		return &typeInfo{err: &codec.TypeError{Codec: name, Path: t.String(), Type: t, Reason: reason}}
	}
	return &typeInfo{descriptor: d, flat: flat(d)}
}

// descriptorOf returns the descriptor that all values of type t have, or why
// there is none.
func descriptorOf(t reflect.Type) (d protoreflect.MessageDescriptor, reason string) {
	switch {
	case t.Kind() == reflect.Interface:
		return nil, "interface: the dynamic type is lost (use a pointer to a generated message)"
	case t.Kind() == reflect.Struct && reflect.PointerTo(t).Implements(messageType):
		return nil, "a message must not be copied (use a pointer to it)"
	case t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || !t.Implements(messageType):
		return nil, "it is no pointer to a generated message"
	}
	// A *dynamicpb.Message panics when it is asked without having a type.
	const unknown = "its fields are not known from its type"
	defer func() {
		if recover() != nil {
			d, reason = nil, unknown
		}
	}()
	m := reflect.New(t.Elem()).Interface().(proto.Message).ProtoReflect()
	if reflect.TypeOf(m.Interface()) != t {
		return nil, "ProtoReflect is promoted from an embedded message and leaves out the other fields"
	}
	if d = m.Descriptor(); d == nil {
		return nil, unknown
	}
	return d, ""
}

// maxDepth is how deep a message may be nested; the library decodes no deeper.
const maxDepth = protowire.DefaultRecursionLimit

// flat returns those messages, of d and the ones in it, whose depth is limited by
// their types: those without message fields, and again and again those that have
// only such in their fields. Extensions may hold whatever there is.
func flat(d protoreflect.MessageDescriptor) map[protoreflect.FullName]bool {
	within := map[protoreflect.FullName]map[protoreflect.FullName]bool{} // message to messages in its fields
	extensible := map[protoreflect.FullName]bool{}
	var visit func(d protoreflect.MessageDescriptor)
	visit = func(d protoreflect.MessageDescriptor) {
		if within[d.FullName()] != nil {
			return
		}
		inner := map[protoreflect.FullName]bool{}
		within[d.FullName()] = inner
		extensible[d.FullName()] = d.ExtensionRanges().Len() > 0
		for i := range d.Fields().Len() {
			if m := d.Fields().Get(i).Message(); m != nil {
				inner[m.FullName()] = true
				visit(m)
			}
		}
	}
	visit(d)
	flat := map[protoreflect.FullName]bool{}
	for shrunk := true; shrunk; {
		shrunk = false
		for m, inner := range within {
			if len(inner) > 0 || extensible[m] {
				continue
			}
			flat[m] = true
			delete(within, m)
			for _, around := range within {
				delete(around, m)
			}
			shrunk = true
		}
	}
	return flat
}

// withinDepth reports whether m nests at most left levels. The library marshals
// a message that contains itself until the stack overflows, which ends the
// process.
func (info *typeInfo) withinDepth(m protoreflect.Message, left int) bool {
	if left--; left < 0 {
		return false
	}
	if info.flat[m.Descriptor().FullName()] {
		return true
	}
	ok := true
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					ok = info.withinDepth(v.Message(), left)
					return ok
				})
			}
		case f.IsList():
			for i := 0; ok && i < v.List().Len(); i++ {
				ok = info.withinDepth(v.List().Get(i).Message(), left)
			}
		default:
			ok = info.withinDepth(v.Message(), left)
		}
		return ok
	})
	return ok
}
