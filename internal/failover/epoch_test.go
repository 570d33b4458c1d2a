package failover_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

// epoch is what the first probe of a primary has written.
type epoch struct {
	run      string
	sequence uint64
	at       time.Time // the zero time: nothing is to be distrusted
}

// epochOf reads the epoch of a partition; ok is false if there is none.
func epochOf(t *testing.T, c redis.Cmdable, name string) (e epoch, ok bool) {
	t.Helper()
	f := strings.Split(c.Get(t.Context(), name).Val(), "|")
	if len(f) != 4 {
		return e, false
	}
	seq, err1 := strconv.ParseUint(f[1], 10, 64)
	at, err2 := strconv.ParseInt(f[2], 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("epoch %v", f)
	}
	e = epoch{run: f[0], sequence: seq}
	if at > 0 {
		e.at = time.UnixMicro(at)
	}
	return e, true
}

// firstSeen waits until every partition has been probed on a primary that has
// taken over (or those that it has), and returns when the last of them was
// first: R counts from there. (All servers of a test share this machine's clock.)
func firstSeen(t *testing.T, h *redistest.Host, parts ...int) time.Time {
	t.Helper()
	c := h.Client(t)
	run := runID(t, h)
	var last time.Time
	if parts == nil {
		for p := range partitions {
			parts = append(parts, p)
		}
	}
	for _, p := range parts {
		eventually(t, "the first probe of the new primary", func() bool {
			e, ok := epochOf(t, c, layout(t).Epoch(p))
			if ok && e.run == run && e.at.After(last) {
				last = e.at
			}
			return ok && e.run == run
		})
	}
	return last
}

func runID(t *testing.T, h *redistest.Host) string {
	t.Helper()
	for line := range strings.Lines(h.Client(t).Info(t.Context(), "server").Val()) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
			return id
		}
	}
	t.Fatal("no run id")
	return ""
}

// promoted waits until a replica has become a primary, and returns the last
// moment at which it was known to be none: what was read before is not excused.
func promoted(t *testing.T, replica *redistest.Host) time.Time {
	t.Helper()
	var before time.Time
	eventually(t, "the replica is promoted", func() bool {
		now := time.Now()
		if replica.IsPrimary(t) {
			return true
		}
		before = now
		return false
	})
	return before
}
