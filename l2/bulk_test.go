package l2

import (
	"context"
	"errors"
	"maps"
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

// guide is a client that can name the masters of the first few routes only.
type guide struct {
	redis.UniversalClient
	master *redis.Client
	names  int
	asked  int
}

func (g *guide) MasterForKey(context.Context, string) (*redis.Client, error) {
	g.asked++
	if g.asked > g.names {
		return nil, errors.New("no idea")
	}
	return g.master, nil
}

// mute is a client that cannot name masters.
type mute struct{ redis.UniversalClient }

func TestWhoIsAskedForManyKeys(t *testing.T) {
	master := redis.NewClient(&redis.Options{Addr: "master:1"})
	t.Cleanup(func() { master.Close() })
	routes := []string{"p1", "p2", "p1", "p3", "p4", "p3"}
	tests := map[string]struct {
		client redis.UniversalClient
		want   map[string]int // requests, by destination
		asked  int
	}{
		"all masters are known":      {&guide{master: master, names: 10}, map[string]int{"master:1": 6}, 4},
		"none is known":              {&guide{}, map[string]int{unknown: 6}, 1},
		"the client loses its way":   {&guide{master: master, names: 2}, map[string]int{"master:1": 3, unknown: 3}, 3},
		"the client names no master": {mute{}, map[string]int{"p1": 2, "p2": 1, "p3": 2, "p4": 1}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := &bulk{store: &Store{client: tt.client}}
			var requests []*request
			for _, route := range routes {
				requests = append(requests, &request{route: route})
			}
			got := make(map[string]int)
			for to, group := range b.byMaster(t.Context(), requests) {
				got[to] = len(group)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("sent %v, want %v", got, tt.want)
			}
			if g, ok := tt.client.(*guide); ok && g.asked != tt.asked {
				t.Errorf("the client was asked %d times, want %d", g.asked, tt.asked)
			}
		})
	}
}
