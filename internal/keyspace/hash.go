package keyspace

import "github.com/cespare/xxhash/v2"

// Hash works on the stack up to these sizes. Most keys fit into the small
// buffer, which is cheaper to clear.
const (
	smallBuffer = 64
	largeBuffer = 256
)

// Hash is xxhash64 of region, ':' and key. Instances tell each other hashes
// instead of keys, so it is part of the protocol. It does not allocate.
func Hash(region, key string) uint64 {
	switch n := len(region) + 1 + len(key); {
	case n <= smallBuffer:
		var buf [smallBuffer]byte
		return xxhash.Sum64(join(buf[:n], region, key))
	case n <= largeBuffer:
		var buf [largeBuffer]byte
		return xxhash.Sum64(join(buf[:n], region, key))
	}
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(region)
	_, _ = d.WriteString(":")
	_, _ = d.WriteString(key)
	return d.Sum64()
}

// join fills buf, which has the right length, with region, ':' and key.
func join(buf []byte, region, key string) []byte {
	n := copy(buf, region)
	buf[n] = ':'
	copy(buf[n+1:], key)
	return buf
}

// HashTag is the hash of a tag. A region's name holds no ':', so an empty
// region cannot be taken for a key's.
func HashTag(tag string) uint64 { return Hash("", tag) }
