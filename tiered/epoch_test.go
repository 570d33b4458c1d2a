package tiered

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// A probe finds a new primary of the tag's partition just when it has been looked up
// until when a value counts as one whose tag was not invalidated, and before the
// tag's mark is made. The mark is good then, and the value is from before the
// failover: it must not live on beyond the grace.
func TestAFailoverOfATagBetweenLifeAndMarkIsNotMissed(t *testing.T) {
	const after = 2 * including // the sequence with which the new primary begins
	value := l2.Value{Kind: l2.Live, Validator: "1", Token: l2.NewToken(), Tags: []l2.Tag{{Name: tagOfTest, Stamp: including}}}
	began := time.Hour.Microseconds() // of the value, on the server's clock
	tests := []struct {
		name string
		over bool // the value's life
		want func(f *flight, reply *l2.Reply, now int64) (kept bool)
	}{
		{"as an answer", false, func(f *flight, reply *l2.Reply, now int64) bool {
			return f.judge(t.Context(), reply, now) == usable && f.hit.told.end > now+int64(failoverGrace)
		}},
		{"past its life", true, func(f *flight, reply *l2.Reply, now int64) bool {
			f.held.wanted = true
			f.judge(t.Context(), reply, now)
			return f.held.until > now+int64(failoverGrace)
		}},
		{"as what the origin is asked about", true, func(f *flight, reply *l2.Reply, now int64) bool {
			f.call.asks = true
			f.consider(reply)
			time.Sleep(failoverGrace) //nolint:forbidigo // moves the bubble's clock
			return f.priorIn(t.Context()) != nil
		}},
	}
	for _, tt := range tests {
		for _, fails := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fences := fence.New(2, time.Minute, 1<<20)
					for p := range 2 {
						fences.Restart(p, including)
					}
					time.Sleep(2 * time.Hour) //nolint:forbidigo // moves the bubble's clock
					for p := range 2 {
						fences.Observe(p, including, including, fences.Now())
					}
					tags, key := fences.Partition(tagHash), tagHash^1 // in the other partition
					var seq uint64
					var at int64
					b := &hooked{epoch: func(p int) (uint64, int64) {
						was, since := seq, at
						if p == tags && fails && seq == 0 {
							// See invalidation/round.go: the epoch, then the generation.
							seq, at = after, fences.Now()/int64(time.Microsecond)
							fences.Restart(p, after)
							time.Sleep(time.Millisecond) //nolint:forbidigo // a probe that was sent later
							fences.Observe(p, after, after, fences.Now())
						}
						if p != tags {
							return 0, 0
						}
						return was, since
					}}
					tier := &tagTier{state: l2.TagState{Seq: after, Invalidated: 1}}
					r := &region{
						node: &Node{fences: fences, backplane: b, l2: tier}, mode: L2Only,
						values: values{
							decode:  func([]byte) (any, error) { return "v", nil },
							encoded: func([]byte) int { return 1 },
							tags:    func(string, any) []string { return []string{tagOfTest} },
						},
					}
					r.stale.init(10*time.Hour, 0)
					f := &flight{region: r, key: keyspace.Key{Region: "items", Name: "k", Hash: key}, stamp: fences.Stamp(key)}
					v := value
					v.Created, v.SoftEnd = began, 10*began
					if tt.over {
						v.SoftEnd = began + 1
					}
					reply := &l2.Reply{Status: l2.Hit, Seq: including, Value: v}
					if kept := tt.want(f, reply, fences.Now()); kept == fails {
						t.Errorf("it lives on: %t, although the primary is another: %t", kept, fails)
					}
				})
			})
		}
	}
}
