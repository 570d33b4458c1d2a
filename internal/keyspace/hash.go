package keyspace

import "github.com/cespare/xxhash/v2"

// hashBuffer is the size up to which Hash works on the stack. Keys may be
// 1,024 bytes long, but most are far below this.
const hashBuffer = 192

// Hash is xxhash64 of region, ':' and key. Instances tell each other hashes
// instead of keys, so it is part of the protocol. It does not allocate.
func Hash(region, key string) uint64 {
	if n := len(region) + 1 + len(key); n <= hashBuffer {
		var buf [hashBuffer]byte
		m := copy(buf[:], region)
		buf[m] = ':'
		copy(buf[m+1:], key)
		return xxhash.Sum64(buf[:n])
	}
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(region)
	_, _ = d.WriteString(":")
	_, _ = d.WriteString(key)
	return d.Sum64()
}

// HashTag is the hash of a tag. A region's name holds no ':', so an empty
// region cannot be taken for a key's.
func HashTag(tag string) uint64 { return Hash("", tag) }
