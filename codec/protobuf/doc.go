// Package protobuf is a codec for protocol buffers: it stores generated messages
// in their own wire format. It is a module of its own, so that only those who
// use it depend on google.golang.org/protobuf.
//
// A region's value type is a pointer to a generated message:
//
//	users, err := tiered.New(node, tiered.Config[*userpb.User]{
//		Name:  "users",
//		Codec: protobuf.Codec,
//		Clone: proto.CloneOf[*userpb.User], // if readers want to modify what they get
//	})
//
// [proto.CloneOf] is a Clone function as it is. Messages must not be copied by
// assignment, so there is no cheaper one.
//
// # What it guarantees
//
//   - A value comes back as it went in, in the sense of [proto.Equal]; unknown
//     fields and extensions too. A nil message comes back nil, and not as an
//     empty one.
//   - Only types whose fields are known from the type alone are carried:
//     [codec.Check] refuses a message that is not behind a pointer,
//     interfaces (proto.Message itself), *dynamicpb.Message, and structs that
//     merely embed a message.
//   - No decoded message shares memory with the input. Fields are decoded at
//     once, lazy ones too.
//   - A message that contains itself, or is nested more than 10,000 levels deep,
//     is an error. (Only messages of recursive types are looked at for that.)
//   - [codec.Fingerprint] follows the descriptor: the full name of the message and
//     the number, name, kind, cardinality and presence of each of its fields, and
//     the same of all messages in it. It changes when a field is added, removed,
//     renamed, renumbered, or given another type, and not with comments, options,
//     JSON names, reserved ranges or the order of declaration.
//
// # What it does not guarantee
//
//   - The wire format has no end of its own: bytes that were cut off between two
//     fields, or added, may decode, as another message. The envelope that a stored
//     value is in has a length and a checksum.
//   - Encodings are not deterministic.
//   - What is in an Any, and values of an enum that were added, are not part of
//     the fingerprint.
//   - A nil message in a list comes back empty, as in the wire format.
//
// # Lifecycle
//
// Codec needs no set-up, is never closed, starts no goroutine, and remembers what
// it found out about a type for as long as the process lives. It is safe for
// concurrent use.
package protobuf
