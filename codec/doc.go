// Package codec turns values into bytes and back for the shared tier of the
// cache.
//
// Three codecs come with it: [MsgPack] (the default), [JSON], and [Raw] for
// byte slices and strings. [Compress] wraps any of them, and any other [Codec]
// may take their place; one for protocol buffers is in the module
// codec/protobuf. [Cloner] makes a deep copy out of a codec.
//
// # What it guarantees
//
//   - A value comes back as it went in, or its type is refused: [Check] walks a
//     type and names every part that the codec would drop or change, before
//     the first value is stored. MsgPack and JSON hold to that themselves and
//     refuse at Append and Unmarshal what Check refuses.
//   - Unmarshal takes exactly one whole value. Truncated input and bytes after
//     the value are errors, never a value by luck. So is a nil where the type
//     has no nil.
//   - Unmarshal copies: no decoded value shares memory with the input, and no
//     encoding with the value. (Methods of the value's own have to copy too, as
//     the contracts of their interfaces say.)
//   - Input is judged before it is decoded: a length header is never believed
//     beyond the bytes that follow it, so that memory stays in proportion to
//     the input times the size of an element, and nesting ends at 10,000
//     levels. A cyclic value is an error, not the end of the process.
//   - [Decode] and [Encode] turn a panic, in a codec or in a method of the
//     value's own, into a [*PanicError].
//   - A compressed value is read whatever the settings of the reader, up to its
//     limit on the size, and one that claims to become larger is an error before
//     memory is taken for it.
//   - [Fingerprint] changes when the definition of a type changes in a way that
//     its encoding shows, so that another version's value can be told apart
//     before it is decoded.
//
// # What comes back, in detail
//
// These are accepted, and come back equal in meaning though not in every bit:
//
//   - time.Time keeps the instant. MsgPack returns it in time.Local (the zero
//     time in UTC), JSON with its offset but without the name of its zone;
//     neither keeps the monotonic clock reading.
//   - A nil slice or map and an empty one remain distinct, except in a field
//     tagged omitempty or omitzero, where whatever counts as empty comes back
//     as the zero value, and except with Raw, where nil comes back empty.
//   - A field tagged "-" is left out, because the tag asks for that.
//   - A type with its own encoding methods is trusted with its inside: net.IP
//     comes back in its 16-byte form, big.Float with the precision of its text,
//     json.Number with its digits (JSON writes the empty one as 0).
//   - JSON replaces invalid UTF-8 in strings by U+FFFD and refuses NaN and the
//     infinities at Append; MsgPack carries both unchanged.
//
// # What it does not guarantee
//
//   - Encodings are not deterministic: maps are written in the order in which
//     they are ranged over. Nothing in the cache compares encodings, and
//     sorting costs an allocation and a sort per map.
//   - Unmarshal into a type that differs from the encoded one is not an error
//     as such: unknown fields are skipped, absent ones stay as they are, and
//     MsgPack cuts an integer that does not fit. Keeping the values of
//     different types apart is the purpose of [Fingerprint].
//   - Corruption within a compressed value is found only where it breaks the
//     structure: a changed byte may come out as a changed value, as with the
//     other codecs. The envelope that a stored value is in has a checksum.
//   - Types registered with msgpack.Register or msgpack.RegisterExt are judged
//     by their methods alone; the registration cannot be seen.
//
// # Lifecycle
//
// Codecs need no set-up and are never closed. They keep pools of encoders and
// decoders, none of which has handled more than 64 KiB at once, and remember
// what they found out about a type for as long as the process lives. Compressing
// and cloning keep pools of buffers of at most 1 MiB; an encoder of Zstd in its
// pool takes up to 4 MiB. What is in a pool and not used is left to the garbage
// collector. No goroutine is started. Everything here is safe for concurrent use.
package codec
