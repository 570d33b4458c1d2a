package keyspace

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Version is the version of the layout of names and envelopes. It is part of
// every hash tag, so two versions never read each other's keys.
const Version = 1

// MaxPartitions is the largest partition count of a [Layout].
const MaxPartitions = 256

// MaxPrefixBytes bounds the prefix: it is repeated in every Redis key.
const MaxPrefixBytes = 256

// Layout computes the Redis names of one cache. It is immutable and safe for
// concurrent use.
type Layout struct {
	prefix     string
	partitions int
	parts      []partNames
	channel    string
}

// partNames are the names of one partition, built once because every request
// uses them.
type partNames struct {
	value, lease, clear, tag string // prefixes, ending with ':'
	sequence, epoch          string
}

// New returns the layout of the cache with the given prefix and number of
// partitions. Both must be the same on all instances.
func New(prefix string, partitions int) (*Layout, error) {
	if err := errors.Join(checkPrefix(prefix), checkPartitions(partitions)); err != nil {
		return nil, err
	}
	l := &Layout{
		prefix:     prefix,
		partitions: partitions,
		parts:      make([]partNames, partitions),
		channel:    fmt.Sprintf("%s:%d.%d:invalidations", prefix, Version, partitions),
	}
	for p := range l.parts {
		t := fmt.Sprintf("%s:{%d.%d.%d}:", prefix, Version, partitions, p)
		l.parts[p] = partNames{
			value:    t + "v:",
			lease:    t + "l:",
			clear:    t + "c:",
			tag:      t + "t:",
			sequence: t + "s",
			epoch:    t + "e",
		}
	}
	return l, nil
}

func checkPrefix(prefix string) error {
	switch {
	case prefix == "":
		return errors.New("prefix is empty: give the application's name")
	case len(prefix) > MaxPrefixBytes:
		return fmt.Errorf("prefix has %d bytes, at most %d are allowed", len(prefix), MaxPrefixBytes)
	case strings.ContainsAny(prefix, "{}"):
		// A brace would become the Cluster hash tag in place of ours, and the
		// keys of a partition would be spread over several slots.
		return fmt.Errorf("prefix %q contains '{' or '}'", prefix)
	}
	return nil
}

func checkPartitions(n int) error {
	if n < 1 || n > MaxPartitions {
		return fmt.Errorf("partitions is %d, must be between 1 and %d", n, MaxPartitions)
	}
	return nil
}

// Partitions is the number of partitions.
func (l *Layout) Partitions() int { return l.partitions }

// Partition is the partition of a key with this hash (see [Hash]).
func (l *Layout) Partition(hash uint64) int { return int(hash % uint64(l.partitions)) }

// Value names the envelope of a key.
func (l *Layout) Value(p int, region, key string) string {
	return l.parts[p].value + region + ":" + key
}

// Lease names the lease of a key.
func (l *Layout) Lease(p int, region, key string) string {
	return l.parts[p].lease + region + ":" + key
}

// Sequence names the counter of a partition's invalidations.
func (l *Layout) Sequence(p int) string { return l.parts[p].sequence }

// Clear names the sequence of a region's last Clear in a partition.
func (l *Layout) Clear(p int, region string) string { return l.parts[p].clear + region }

// Epoch names the record of the primary that a partition was last seen on.
func (l *Layout) Epoch(p int) string { return l.parts[p].epoch }

// Tag names the sequence of a tag's last invalidation; p is the partition of
// the tag itself.
func (l *Layout) Tag(p int, tag string) string { return l.parts[p].tag + tag }

// Channel is the pub/sub channel on which invalidations are announced.
func (l *Layout) Channel() string { return l.channel }

// AgreementKey names the key by which instances find out that they disagree
// about the layout; its value must be [Layout.Agreement].
func (l *Layout) AgreementKey() string { return l.prefix + ":layout" }

// Agreement is what all instances must agree on: version and partition count.
func (l *Layout) Agreement() string {
	return strconv.Itoa(Version) + "." + strconv.Itoa(l.partitions)
}
