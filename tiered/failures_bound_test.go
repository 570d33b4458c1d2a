package tiered

import (
	"fmt"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

// Errors that stand no longer are let go of, though nobody asks for their keys
// again: by whichever load comes later, and when there is no room.
func TestErrorsThatStandNoLongerAreLetGo(t *testing.T) {
	f := failures{ttl: func(error) time.Duration { return time.Second }}
	fill := func(now int64) {
		for i := range maxFailures + 10 {
			f.remember(fmt.Sprint(now, i), ErrLoadTimeout, fence.Stamp{}, now)
		}
	}
	now := int64(time.Hour)
	fill(now)
	if len(f.keys) != maxFailures {
		t.Fatalf("%d are remembered", len(f.keys))
	}
	now += int64(2 * time.Second)
	f.remember("late", ErrLoadTimeout, fence.Stamp{}, now)
	if e := f.recent("late", now); e.err == nil || len(f.keys) != 1 {
		t.Errorf("%d are remembered, the latest: %v", len(f.keys), e.err)
	}
	fill(now)
	now += int64(failuresSwept) + 1
	if e := f.recent("another", now); e.err != nil || len(f.keys) != 0 {
		t.Errorf("%d are remembered a minute later", len(f.keys))
	}
}
