package l2

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Masters come and go: the lanes of one are forgotten when they carry nothing,
// and not before.
func TestLanesOfMastersThatAreGoneAreForgotten(t *testing.T) {
	s := idleStore(t)
	b := newBulk(s, false)
	put := func(master string) *lane {
		c, _ := s.begin(t.Context())
		r := c.command(redis.NewStringSliceCmd(t.Context(), "ping"), nil, s.primary[0].breaker, "")
		if err := b.put(destination{b.work, master}, []*request{r}); err != nil {
			t.Fatal(err)
		}
		<-r.done // there is no server
		l := b.masters[destination{b.work, master}]
		for end := time.Now().Add(time.Minute); !l.isIdle(); time.Sleep(time.Millisecond) { //nolint:forbidigo // between two looks
			if time.Now().After(end) {
				t.Fatal("the lane does not get idle")
			}
		}
		return l
	}
	first := put("a")
	if put("a") != first {
		t.Error("a master has a lane for each call")
	}
	first.stuck = 1
	put("b")
	if n := len(*b.lanes.Load()); n != 2 {
		t.Errorf("%d lanes, want that of a, which has something stuck, and that of b", n)
	}
	first.stuck = 0
	put("c")
	if n := len(*b.lanes.Load()); n != 1 || len(b.masters) != 1 {
		t.Errorf("%d lanes of %d masters, want that of c", n, len(b.masters))
	}
}
