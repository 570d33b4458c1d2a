package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/rpc"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Requested reports whether this process is to be an instance.
func Requested() bool { return os.Getenv(wire.Env) != "" }

// Run is an instance: it returns when the controller orders the end, and nil
// then, or when the controller is gone.
func Run(ctx context.Context) error {
	s := new(wire.Settings)
	if err := json.Unmarshal([]byte(os.Getenv(wire.Env)), s); err != nil {
		return fmt.Errorf("instance: settings in %s: %w", wire.Env, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.Socket)
	if err != nil {
		return fmt.Errorf("instance: controller: %w", err)
	}
	hub := rpc.NewClient(conn)
	defer hub.Close() //nolint:errcheck // at the end
	p := &process{
		settings: s, origin: origin{hub}, client: newClient(s),
		plan: &plan{s.Regions, uint32(s.Instances)},
	}
	defer p.client.Close() //nolint:errcheck // at the end
	if p.doppio, err = openDoppio(ctx, s, p.client, p.plan, p.origin); err != nil {
		return fmt.Errorf("instance: %w", err)
	}
	p.simple = openSimple(ctx, s, p.client, p.origin)
	return p.run(ctx)
}

func newClient(s *wire.Settings) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:                     s.Redis,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// cache is either of the systems.
type cache interface {
	read(ctx context.Context, key uint32, how look) (wire.Read, error)
	invalidate(ctx context.Context, c *change) []wire.Invalidation
	bulk(ctx context.Context, names []string) error
}

type process struct {
	settings *wire.Settings
	origin   origin
	client   *redis.Client
	plan     *plan
	doppio   *doppio
	simple   *simple

	workers []*recorder
	quiet   atomic.Bool
	risky   atomic.Bool
	swept   atomic.Int64
	bulked  atomic.Int64
}

// shutdown bounds an orderly end.
const shutdown = 10 * time.Second

func (p *process) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range []cache{p.doppio, p.simple} {
		for i := range p.settings.Readers {
			r := p.worker()
			wg.Go(func() { p.readAll(ctx, c, r, uint64(i)) })
		}
	}
	p.write(ctx, &wg)
	sweeper := p.worker()
	p.workers = append(p.workers, &p.doppio.notes, &p.simple.notes)
	err := p.report(ctx, &wg, sweeper)
	cancel()
	wg.Wait()
	ending, release := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer release()
	return errors.Join(err, p.doppio.node.Shutdown(ending), p.simple.cache.Close())
}

func (p *process) worker() *recorder {
	r := new(recorder)
	p.workers = append(p.workers, r)
	return r
}

// source is a stream of random numbers of its own for each use.
func (p *process) source(use, number uint64) *rand.Rand {
	s := p.settings
	return rand.New(rand.NewPCG(s.Seed, use<<32|number<<16|uint64(s.ID.Instance)<<8|uint64(s.ID.Life)))
}

// readAll reads in bursts until ctx ends.
func (p *process) readAll(ctx context.Context, c cache, r *recorder, number uint64) {
	keys := p.plan.choice(p.source(1, number), p.settings.Skew)
	tick := time.NewTicker(p.settings.Pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range p.settings.Burst {
			key, how := keys.any(), look(keys.IntN(2))
			if p.plan.full() && keys.IntN(manyEvery) == 0 {
				p.readMany(ctx, c, r, p.plan.shelf(key), wire.Way(1+keys.IntN(2)))
				continue
			}
			p.read(ctx, c, r, key, how)
		}
	}
}

// manyEvery is of how many calls one reads several keys.
const manyEvery = 12

func (p *process) read(ctx context.Context, c cache, r *recorder, key uint32, how look) {
	r.begin()
	seen, err := c.read(ctx, key, how)
	r.read(seen, err)
}

// readMany reads keys in one call; the baseline reads one after the other.
func (p *process) readMany(ctx context.Context, c cache, r *recorder, keys []uint32, way wire.Way) {
	if c == p.doppio {
		r.begin()
		r.readMany(p.doppio.readMany(ctx, keys, way))
		return
	}
	for _, key := range keys {
		p.read(ctx, c, r, key, plain)
	}
}

// clearEvery is how far the Clears of one instance are apart. Those of different
// instances are not at the same time.
const clearEvery = 40 * time.Second

// write starts the writers.
func (p *process) write(ctx context.Context, wg *sync.WaitGroup) {
	writer := func(number int) *writer {
		return &writer{p, p.plan.choice(p.source(2, uint64(number)), p.settings.Skew), p.worker()}
	}
	for i := range p.settings.Writers {
		w := writer(i)
		wg.Go(func() { p.each(ctx, p.settings.WriteEvery, w.anything) })
	}
	if p.plan.full() {
		owner, clearer := writer(p.settings.Writers), writer(p.settings.Writers+1)
		wg.Go(func() { p.each(ctx, 5*p.settings.WriteEvery, owner.owners) })
		wg.Go(func() {
			select {
			case <-time.After(clearEvery / time.Duration(p.settings.Instances) * time.Duration(p.settings.ID.Instance)):
				p.each(ctx, clearEvery, clearer.clear)
			case <-ctx.Done():
			}
		})
	}
}
