// Package doppio is the root of a two-tier embedded cache for Go services
// that run as many instances: an in-process L1 (Ristretto) in front of a
// shared L2 (Redis), kept coherent by sequence numbers that every instance
// polls, so that a read is never staler than a configured bound, even when
// invalidation messages are lost.
//
// There is no code here. The API is in package
// [github.com/doppio-cache/doppio/tiered]; start with tiered.Open and
// tiered.New. The encodings of values are in
// [github.com/doppio-cache/doppio/codec]. What the unit tests of a service need is
// in [github.com/doppio-cache/doppio/tiered/tieredtest]. The remaining packages (l1,
// l2, invalidation) are the parts that tiered composes: they are not for use by
// themselves, and may change in any release.
package doppio
