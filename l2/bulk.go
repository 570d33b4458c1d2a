package l2

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// bulkLimits are those of lanes for calls of many keys: one call is one round
// trip, unless its values are very large.
var bulkLimits = limits{commands: 1 << 16, bytes: 16 << 20, queue: 1 << 20}

// bulkWidth is how many calls of many keys are under way to a master at once.
// They are large, so that there is little to be had from sharing round trips.
const bulkWidth = 16

// bulk carries calls of many keys: each is one round trip to each master
// concerned. On a Cluster the lanes of partitions cannot do that, because
// partitions do not know who else is on their master. There the two lanes of
// bulk send nothing: as a call leaves they ask the client who serves its keys,
// and hand over to lanes that each master has for itself. So one that is silent
// takes up the width of its own lanes, and holds up nobody but those who ask for
// keys of it.
type bulk struct {
	store  *Store
	single bool  // there is one master
	work   *lane // reads, leases, fills
	urgent *lane // invalidations

	// mu is held while requests are put on the lane of a master, so that one that
	// is idle can be forgotten: masters come and go.
	mu      sync.Mutex
	masters map[destination]*lane
	lanes   atomic.Pointer[[]*lane] // those of masters
}

// destination is a master, for what comes from one of the two lanes.
type destination struct {
	from   *lane
	master string
}

// router is a client that knows which master a key is on.
type router interface {
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
}

func newBulk(s *Store, single bool) *bulk {
	b := &bulk{store: s, single: single, masters: make(map[destination]*lane)}
	b.lanes.Store(new([]*lane))
	for _, l := range []**lane{&b.work, &b.urgent} {
		*l = b.lane()
		if (*l).sorts = !single; single {
			(*l).breaker, (*l).direct = s.primary[0].breaker, s.primary[0].scripts.direct
		}
	}
	return b
}

func (b *bulk) lane() *lane {
	return &lane{store: b.store, width: bulkWidth, limits: bulkLimits, bulk: b}
}

// job is a job of partition p, on one of the two lanes.
func (b *bulk) job(l *lane, p int, sc *script, args []any) job {
	j := job{lane: l, script: sc, args: args}
	if !b.single {
		j.gate, j.route = b.store.primary[p].breaker, b.store.layout.Sequence(p)
	}
	return j
}

// exchange is one round trip to one master.
func (b *bulk) exchange(ctx context.Context, l *lane, trip *batch) {
	if len(trip.requests) == 1 {
		_ = b.store.client.Process(ctx, trip.requests[0].cmd)
	} else {
		l.pipeline(ctx, trip.requests)
	}
	l.returned(trip)
	for _, r := range trip.requests {
		r.answer(trip.untold(l.of(r), r.outcome()))
	}
}

// sort hands a batch over to the lanes of the masters concerned.
func (b *bulk) sort(ctx context.Context, l *lane, all *batch) {
	groups := b.byMaster(ctx, all.requests)
	l.returned(all)
	for master, requests := range groups {
		// Those whose callers have left meanwhile need not be sent.
		requests = slices.DeleteFunc(requests, func(r *request) bool { return !r.underWay() })
		if len(requests) == 0 || b.put(destination{l, master}, requests) == nil {
			continue
		}
		for _, r := range requests {
			r.cmd.SetErr(errBusy)
			r.answer(nil)
		}
	}
	// The watch may have looked at the lane of a master before these came there,
	// and at this one after they left.
	b.store.watch.stir()
}

// put puts requests on the lane of a master: all or none of them.
func (b *bulk) put(to destination, requests []*request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.masters[to]
	if l == nil {
		l = b.lane()
		b.masters[to] = l
		var lanes []*lane
		for id, m := range b.masters {
			if m != l && m.isIdle() {
				delete(b.masters, id)
				continue
			}
			lanes = append(lanes, m)
		}
		b.lanes.Store(&lanes)
	}
	return l.send(requests...)
}

// unknown stands for the masters of partitions that the client could not name.
const unknown = ""

// byMaster sorts requests by who is to be asked. A client that knows nothing yet
// of its Cluster asks it now, which may take long and fail, and would do so again
// for each partition: so after one failure it is not asked again for this batch,
// and what is left is sent as one pipeline. The client takes that apart, or says
// why it cannot.
func (b *bulk) byMaster(ctx context.Context, requests []*request) map[string][]*request {
	client, knows := b.store.client.(router)
	masters := make(map[string]string) // by route
	groups := make(map[string][]*request)
	for _, r := range requests {
		to, known := masters[r.route]
		if !known {
			to = r.route // each partition is for itself
			if knows {
				to = unknown
			}
			if client != nil {
				master, err := client.MasterForKey(ctx, r.route)
				if err != nil {
					client = nil
				} else if master != nil {
					to = master.Options().Addr
				}
			}
			masters[r.route] = to
		}
		groups[to] = append(groups[to], r)
	}
	return groups
}
