package l2

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// bulkLimits are those of lanes for calls of many keys: one call is one round
// trip, unless its values are very large.
var bulkLimits = limits{commands: 1 << 16, bytes: 16 << 20, queue: 1 << 20}

// bulkWidth is how many calls of many keys are under way at once. They are
// large, so that there is little to be had from sharing round trips.
const bulkWidth = 16

// bulk carries calls of many keys: each is one round trip to each master
// concerned. On a Cluster the lanes of partitions cannot do that, because
// partitions do not know who else is on their master. So these lanes are shared
// by all partitions; who serves which is asked of the client as a batch leaves.
// A master that is silent holds up nobody but those who ask for keys of it: each
// master has a pipeline of its own, whose answers are handed out when they come.
type bulk struct {
	store  *Store
	single bool  // there is one master
	work   *lane // reads, leases, fills
	urgent *lane // invalidations
}

// router is a client that knows which master a key is on.
type router interface {
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
}

func newBulk(s *Store, single bool) *bulk {
	b := &bulk{store: s, single: single}
	for _, l := range []**lane{&b.work, &b.urgent} {
		*l = &lane{store: s, width: bulkWidth, limits: bulkLimits, bulk: b}
		if single {
			(*l).breaker, (*l).direct = s.primary[0].breaker, s.primary[0].scripts.direct
		}
	}
	return b
}

// job is a job of partition p, on one of the two lanes.
func (b *bulk) job(l *lane, p int, sc *script, args []any) job {
	j := job{lane: l, script: sc, args: args}
	if !b.single {
		j.gate, j.route = b.store.primary[p].breaker, b.store.layout.Sequence(p)
	}
	return j
}

// exchange is one round trip to each of the masters concerned.
func (b *bulk) exchange(ctx context.Context, l *lane, all *batch) {
	groups := b.byMaster(ctx, all.requests)
	var wg sync.WaitGroup
	for _, g := range groups[1:] {
		wg.Go(func() { b.exchangeOne(ctx, l, g) })
	}
	b.exchangeOne(ctx, l, groups[0])
	wg.Wait()
}

// exchangeOne is one round trip to one master.
func (b *bulk) exchangeOne(ctx context.Context, l *lane, requests []*request) {
	if len(requests) == 1 {
		_ = b.store.client.Process(ctx, requests[0].cmd)
	} else {
		l.pipeline(ctx, requests)
	}
	var trip batch // what was told of this master's answers
	for _, r := range requests {
		r.answer(trip.untold(l.of(r), r.outcome()))
	}
}

// byMaster sorts requests by who is to be asked, at least one group of them.
// Where that is not known, each partition is for itself.
func (b *bulk) byMaster(ctx context.Context, requests []*request) [][]*request {
	if b.single {
		return [][]*request{requests}
	}
	client, _ := b.store.client.(router)
	masters := make(map[string]*redis.Client) // by route
	at := make(map[any]int)
	var groups [][]*request
	for _, r := range requests {
		master, known := masters[r.route]
		if !known && client != nil {
			var err error
			if master, err = client.MasterForKey(ctx, r.route); err != nil {
				master = nil
			}
			masters[r.route] = master
		}
		var id any = r.route
		if master != nil {
			id = master
		}
		i, ok := at[id]
		if !ok {
			i = len(groups)
			at[id] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}
