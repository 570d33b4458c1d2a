package tiered

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// A flight has read version 1, and its reply is slow. Another instance sets version
// 2, whose life ends at once, and whose message is lost; a caller finds it past its
// life and is served it. When the flight lands, its version 1 must not be served.
func TestAValuePastItsLifeIsNotFollowedByAnOlderOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hash = 7
		fences := fence.New(1, time.Hour, 1<<20)
		fences.Observe(0, 0, 0, fences.Now())
		r := &region{
			node: &Node{fences: fences, backplane: &hooked{}}, mode: L2Only,
			values: values{
				decode:  func(data []byte) (any, error) { return string(data), nil },
				encoded: func(payload []byte) int { return len(payload) },
			},
		}
		r.stale.init(time.Hour, 0)
		time.Sleep(time.Minute) //nolint:forbidigo // moves the bubble's clock
		slow := &outcome{source: SourceL2, stamp: fences.Stamp(hash)}
		slow.mark = slow.stamp.At(1)
		f := &flight{region: r, key: keyspace.Key{Region: "items", Name: "k", Hash: hash}, kind: flightLoad, stamp: fences.Stamp(hash)}
		f.held.wanted = true
		now := fences.Now()
		f.judge(t.Context(), &l2.Reply{Status: l2.Hit, Seq: 2, Value: l2.Value{
			Kind: l2.Live, Payload: []byte("2"), Created: now/1000 - 2, SoftEnd: now/1000 - 1,
		}}, now)
		if out, ok := r.serveStale(f.key, f.kind, &f.held); !ok || out.value != "2" {
			t.Fatalf("got %v, %t; want the value past its life", out.value, ok)
		}
		if _, ok := fences.Valid(&slow.mark); ok {
			t.Error("a copy of the older version is valid")
		}
		if r.acceptable(slow, flightLoad, slow.stamp.T0, 0) {
			t.Error("the caller of the slow flight gets the older version")
		}
		if !fences.Passes(&f.stamp) {
			t.Error("what is loaded from now on, and kept nowhere, is not accepted")
		}
	})
}
