package tiered_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// failOver makes it look as if another primary had come to power, but for some
// partitions.
func (b *bubble) failOver(t *testing.T, spared ...string) {
	t.Helper()
	for _, key := range b.redis.Keys() {
		partition, ok := strings.CutSuffix(key, ":e")
		if !ok || slices.Contains(spared, partition) {
			continue
		}
		s, err := b.redis.Incr(partition+":s", 1000)
		succeeds(t, err)
		old, err := b.redis.Get(key)
		succeeds(t, err)
		epoch := strings.Split(old, "|")
		epoch[1], epoch[2] = strconv.Itoa(s), strconv.FormatInt(time.Now().UnixMicro(), 10)
		succeeds(t, b.redis.Set(key, strings.Join(epoch, "|")))
	}
}

const outOfReach = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."

// A copy of a value from before a failover may have been invalidated on the old
// primary. Where Redis cannot be asked, the origin is not asked about that copy either:
// that it is "unchanged" would let it outlive the grace.
func TestLoadIfWithoutRedisOfACopyFromBeforeAFailover(t *testing.T) {
	for name, stale := range map[string]bool{"read": false, "served stale": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := pages()
				if stale {
					cfg.TTL, cfg.StaleFor = 3*time.Second, whole
				}
				r := region(t, b.node(t, func(o *tiered.Options) { o.MaxStaleness = 4 * time.Second }), cfg)
				d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
				d.is(t, r, "old", tiered.SourceLoad)
				b.failOver(t)
				pass(3500 * time.Millisecond) // it is known, and the grace, 5 to 10 s, is not over
				got, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) {
					return "", errors.New("the origin is down")
				})
				if err != nil || got != "old" {
					t.Fatalf("within the grace: %q, %v", got, err)
				}
				d.value = "new"
				d.was(t, 1, "")
				pass(10 * time.Second)
				b.redis.SetError(outOfReach)
				defer b.redis.SetError("")
				d.is(t, r, "new", tiered.SourceLoad)
				d.was(t, 1, "")
			})
		})
	}
}

// Nor is it asked about one that was renewed because of Config.RefreshAhead: the grace of
// a value whose tag may have been invalidated on an old primary goes on counting.
func TestRefreshAheadOfATaggedValueFromBeforeAFailover(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := pages()
		cfg.RefreshAhead, cfg.StaleFor = 0.5, whole
		tags := strings.Split("12345678", "") // not all in the key's partition
		cfg.Tags = func(string, string) []string { return tags }
		n := b.node(t, func(o *tiered.Options) { o.MaxStaleness = 4 * time.Second })
		succeeds(t, n.InvalidateTags(t.Context(), tags...)) // so that Redis knows them
		r := region(t, n, cfg)
		d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
		d.is(t, r, "old", tiered.SourceLoad)
		own := ""
		for _, key := range b.redis.Keys() {
			if partition, _, ok := strings.Cut(key, ":v:"); ok {
				own = partition
			}
		}
		b.failOver(t, own)
		pass(3500 * time.Millisecond)
		d.value = "new"
		d.is(t, r, "old", tiered.SourceL2) // which begins a load
		pass(10 * time.Second)
		b.redis.SetError(outOfReach)
		defer b.redis.SetError("")
		d.is(t, r, "new", tiered.SourceL1)
		d.was(t, 2, "", "")
	})
}
