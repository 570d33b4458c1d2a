package tiered

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A key whose callers have all left before its load begins is not loaded with
// those that stay, or come next.
func TestGatheringForgetsWhoHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls [][]string
		g := gatherer[string, int]{
			region: &region{loadTimeout: time.Hour}, maxWait: time.Second, maxBatch: 4,
			load: func(_ context.Context, keys []string) (map[string]int, error) {
				calls = append(calls, slices.Clone(keys))
				return nil, nil
			},
		}
		join := func(key string) (leave func()) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() { _, _ = g.one(ctx, key, key) }()
			synctest.Wait()
			return func() { cancel(); synctest.Wait() }
		}
		wait := func(d time.Duration) {
			time.Sleep(d) //nolint:forbidigo // the clock of a bubble
			synctest.Wait()
		}
		join("stays")
		leaves := join("leaves")
		one := join("has two")
		join("has two")
		leaves()
		one()
		wait(time.Second)
		join("leaves")()
		wait(time.Second / 2)
		join("next")
		wait(time.Second / 2)
		join("in time")
		join("third")
		join("full")
		synctest.Wait()
		want := [][]string{{"stays", "has two"}, {"next", "in time", "third", "full"}}
		if !slices.EqualFunc(calls, want, slices.Equal) {
			t.Errorf("loads of %q, want %q", calls, want)
		}
	})
}
