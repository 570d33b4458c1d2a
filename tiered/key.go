package tiered

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

// MaxKeyBytes is the longest key that a region takes.
const MaxKeyBytes = 1024

// Key joins the parts of a composite key with ':'. A ':' or '\' inside a part
// is escaped with '\', so different parts never give the same key (but for no part at
// all and one that is empty, which both give the empty key, an [ErrInvalidKey]):
//
//	Key("a:b", "c") // `a\:b:c`
//	Key("a", "b:c") // `a:b\:c`
//
// Strings, byte slices, integers, booleans and [fmt.Stringer]s are written as
// such, everything else as fmt's %v. Parts of different types that are written
// alike (1 and "1") give the same key.
func Key(parts ...any) string {
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteByte(':')
		}
		switch p := part.(type) {
		case string:
			escape(&b, p)
		case []byte:
			escape(&b, string(p))
		case int:
			b.WriteString(strconv.Itoa(p))
		case int64:
			b.WriteString(strconv.FormatInt(p, 10))
		case uint64:
			b.WriteString(strconv.FormatUint(p, 10))
		default:
			escape(&b, fmt.Sprint(p))
		}
	}
	return b.String()
}

func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		if s[i] == ':' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
}

func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("%w: %q… has %d bytes, at most %d are allowed", ErrInvalidKey, key[:32], len(key), MaxKeyBytes)
	}
	return nil
}

// Ref names a key of a region, for calls that concern several regions. It is
// comparable. Get one from [Node.Ref] or [Region.Ref].
type Ref struct {
	region, key string
}

// Region is the name of the region.
func (r Ref) Region() string { return r.region }

// Key is the key within the region.
func (r Ref) Key() string { return r.key }

// String is the region, ':' and the key.
func (r Ref) String() string { return r.region + ":" + r.key }

func (r Ref) check() error {
	if err := checkRegionName(r.region); err != nil {
		return fmt.Errorf("%w: region of %q: %w", ErrInvalidKey, r.String(), err)
	}
	return checkKey(r.key)
}

func (r Ref) hashed() keyspace.Key { return keyspace.Of(r.region, r.key) }

func refOf(k keyspace.Key) Ref { return Ref{region: k.Region, key: k.Name} }
