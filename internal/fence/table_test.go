package fence_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

func TestANewTableHasHeardNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		if tb.Bound() != D || tb.Partitions() != 1 || tb.Now() != 0 {
			t.Errorf("got bound %v, %d partitions, time %d", tb.Bound(), tb.Partitions(), tb.Now())
		}
		if _, ok := tb.Lease(0); ok || tb.Live(0) || tb.Last(0) != 0 {
			t.Error("a new table has a lease, or has heard something")
		}
		s := tb.Stamp(key)
		if !tb.Passes(&s) || !tb.Confirmed(&s) {
			t.Error("a load that has just begun does not pass")
		}
	})
}

func TestAPartitionLivesForTheBound(t *testing.T) {
	inBubble(t, func(t *testing.T, tb *fence.Table) {
		sleep(time.Minute)
		tb.Settle(0, 0, tb.Now())
		sleep(D)
		if !tb.Live(0) {
			t.Error("not live with a lease as old as the bound")
		}
		sleep(1)
		if tb.Live(0) {
			t.Error("live with a lease older than the bound")
		}
		tb.GrantForever()
		sleep(50 * 365 * 24 * time.Hour)
		if !tb.Live(0) {
			t.Error("not live with a lease without end")
		}
	})
}
