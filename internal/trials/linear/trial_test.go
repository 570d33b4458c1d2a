package linear_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// patience is an L2Timeout for trials in which Redis is well and only the
// machine may be slow.
const patience = 30 * time.Second

// member is one node with its own way to Redis.
type member struct {
	proxy *redistest.Proxy
	node  *tiered.Node
	items *tiered.Region[int]
}

// join opens a node on the backend through a proxy.
func join(t *testing.T, b *redistest.Backend, opts tiered.Options, mode tiered.Mode, retries int) *member {
	t.Helper()
	m := &member{proxy: b.Proxy(t)}
	opts.Redis = m.proxy.Client(t, func(o *redis.Options) { o.MaxRetries, o.PoolTimeout = retries, patience })
	opts.Prefix, opts.L1MaxBytes = "trial", 4<<20
	opts.Logger = slog.New(slog.DiscardHandler)
	var err error
	if m.node, err = tiered.Open(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.node.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if m.items, err = tiered.New(m.node, tiered.Config[int]{Name: "items", Mode: mode}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.node.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// writing and reading are what callers do.
type (
	writing uint8
	reading uint8
)

const (
	update  writing = iota // commit, then Delete
	set                    // commit, then Set
	remove                 // commit the removal, then Delete
	onlySet                // Set, without an origin
	onlyDelete
	forget // commit, and no Delete: what no service should do
)

const (
	get reading = iota
	getOrLoad
)

// trial is a number of keys that are written and read at once.
type trial struct {
	members []*member
	origin  *origin
	writes  []writing
	reads   []reading
	opts    []tiered.Option // of the reads

	faulty bool  // calls may fail
	own    bool  // a node sees its own writes even if they fail
	strict bool  // a stored value is there
	late   *late // strikes at writes, if set

	keys, versions, readers int

	failed atomic.Int64 // writes
}

// first is the state of a key before a trial: version 1 is in the origin, and
// in no tier.
func (tr *trial) first() register {
	if tr.strict {
		return register{content: nothing}
	}
	return register{stored(1), present}
}

// run carries out the trial and returns the histories, by key.
func (tr *trial) run(t *testing.T) map[string]*history {
	t.Helper()
	histories := make(map[string]*history)
	var wg sync.WaitGroup
	for i := range tr.keys {
		key := fmt.Sprintf("k%d", i)
		h := &history{}
		histories[key] = h
		if !tr.strict {
			tr.origin.commit(key, false)
		}
		done := make(chan struct{})
		wg.Go(func() {
			defer close(done)
			for n := 0; n < tr.versions || n < 10*tr.versions && !tr.late.struck(); n++ {
				tr.write(t, h, key)
				if rand.N(3) > 0 {
					h.await(t, tr.readers)
				}
				if rand.N(4) == 0 {
					tr.recover(t)
				}
			}
		})
		for client := range tr.readers {
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						tr.read(t, h, key, client+1)
						tr.pause()
					}
				}
			})
		}
	}
	wg.Wait()
	return histories
}

// check runs the trial and checks every key.
func (tr *trial) check(t *testing.T) {
	t.Helper()
	ops, open := 0, 0
	for key, h := range tr.run(t) {
		h.check(t, tr.first(), tr.faulty, t.Name()+" "+key)
		ops, open = ops+len(h.ops), open+h.open()
	}
	t.Logf("%d operations, %d writes failed, %d operations with an unknown outcome", ops, tr.failed.Load(), open)
	if tr.faulty && tr.failed.Load() == 0 {
		t.Error("no write failed: the faults have not struck")
	}
	if !tr.late.struck() {
		t.Error("no script has run late: the fault has not struck")
	}
}

// recover returns when all members use Redis: a trial in which it counts as
// down from begin to end would show little.
func (tr *trial) recover(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, m := range tr.members {
		for m.node.Stats().Degraded {
			if time.Now().After(deadline) {
				t.Error("a node does not recover between faults")
				return
			}
			time.Sleep(time.Millisecond) //nolint:forbidigo // the interval of a poll
		}
	}
}

// pause spreads reads over time. A write that fails takes a while, and as many
// reads as fit into it would keep the checker busy for no gain.
func (tr *trial) pause() {
	d := time.Millisecond
	if tr.faulty {
		d = 4 * time.Millisecond
	}
	time.Sleep(rand.N(d)) //nolint:forbidigo // a rate
}

func pick[T any](from []T) T { return from[rand.N(len(from))] }

// write makes the next version of a key, on any node.
func (tr *trial) write(t *testing.T, h *history, key string) {
	t.Helper()
	m, how := pick(tr.members), pick(tr.writes)
	if tr.late != nil {
		defer tr.late.strike(m, key)()
	}
	begin := h.now()
	v := tr.origin.commit(key, how == remove)
	var err error
	ops := []write{{stored(v), present, "update"}}
	switch how {
	case update:
		err = m.items.Delete(t.Context(), key)
	case remove:
		ops = []write{{stored(v), absent, "remove"}}
		err = m.items.Delete(t.Context(), key)
	case set:
		ops[0].how = "set"
		err = m.items.Set(t.Context(), key, v)
	case onlySet:
		ops = []write{{cleared(v), nothing, "set, first half"}, {stored(v), present, "set, second half"}}
		err = m.items.Set(t.Context(), key, v)
	case onlyDelete:
		ops = []write{{cleared(v), nothing, "delete"}}
		err = m.items.Delete(t.Context(), key)
	case forget:
	}
	end := h.now()
	if err != nil {
		tr.failed.Add(1)
		if !tr.own {
			end = openEnd
		}
		var pending *tiered.PendingError
		if !tr.faulty || !errors.As(err, &pending) && !errors.Is(err, tiered.ErrUnavailable) {
			t.Errorf("write of %s: %v", key, err)
		}
	}
	for _, op := range ops {
		if err != nil {
			op.how += ", failed"
		}
		h.note(0, op, nil, begin, end)
	}
}

// read reads a key, on any node. A read that failed is not noted: it says
// nothing and changes nothing.
func (tr *trial) read(t *testing.T, h *history, key string, client int) {
	t.Helper()
	m, how := pick(tr.members), pick(tr.reads)
	var info tiered.Info
	opts := tr.opts
	if tr.faulty || rand.N(2) == 0 { // without options hits take another way
		opts = append(slices.Clip(opts), tiered.WithInfo(&info))
	}
	var v int
	var err error
	in := read{"get"}
	begin := h.now()
	if how == get {
		v, err = m.items.Get(t.Context(), key, opts...)
	} else {
		in = read{"get or load"}
		v, err = m.items.GetOrLoad(t.Context(), key, tr.origin.load, opts...)
	}
	end := h.now()
	a := answer{rank: stored(v), content: present, source: info.Source.String(), ahead: tr.faulty && info.Source == tiered.SourceLoad}
	switch {
	case err == nil:
	case errors.Is(err, tiered.ErrAbsent):
		a.content = absent
	case errors.Is(err, tiered.ErrNotFound):
		a.content, a.silent = nothing, !tr.strict || tr.faulty
	case tr.faulty && errors.Is(err, tiered.ErrUnavailable):
		return
	default:
		t.Errorf("read of %s: %v", key, err)
		return
	}
	h.note(client, in, a, begin, end)
}
