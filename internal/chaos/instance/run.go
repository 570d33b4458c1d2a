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
	p := &process{settings: s, origin: origin{hub}, client: redis.NewClient(&redis.Options{
		Addr:                     s.Redis,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}
	defer p.client.Close() //nolint:errcheck // at the end
	if p.doppio, err = openDoppio(ctx, s, p.client, p.origin); err != nil {
		return fmt.Errorf("instance: %w", err)
	}
	p.simple = openSimple(ctx, s, p.client, p.origin)
	return p.run(ctx)
}

// cache is either of the systems.
type cache interface {
	read(ctx context.Context, key uint32, how look) (wire.Read, error)
	invalidate(ctx context.Context, key uint32, version uint64) wire.Delete
	bulk(ctx context.Context, names []string) error
}

type process struct {
	settings *wire.Settings
	origin   origin
	client   *redis.Client
	doppio   *doppio
	simple   *simple

	workers []*recorder
	quiet   atomic.Bool
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
	for i := range p.settings.Writers {
		r := p.worker()
		wg.Go(func() { p.write(ctx, r, uint64(i)) })
	}
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

func (p *process) zipf(random *rand.Rand) *rand.Zipf {
	return rand.NewZipf(random, p.settings.Skew, 1, uint64(p.settings.Keys-1))
}

// readAll reads in bursts until ctx ends.
func (p *process) readAll(ctx context.Context, c cache, r *recorder, number uint64) {
	random := p.source(1, number)
	keys := p.zipf(random)
	tick := time.NewTicker(p.settings.Pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range p.settings.Burst {
			p.read(ctx, c, r, uint32(keys.Uint64()), look(random.IntN(2)))
		}
	}
}

func (p *process) read(ctx context.Context, c cache, r *recorder, key uint32, how look) {
	r.begin()
	seen, err := c.read(ctx, key, how)
	r.read(seen, err)
}

// write commits and invalidates, in both systems at once, until ctx ends.
func (p *process) write(ctx context.Context, r *recorder, number uint64) {
	keys := p.zipf(p.source(2, number))
	tick := time.NewTicker(p.settings.WriteEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.quiet.Load() {
			continue
		}
		key := uint32(keys.Uint64())
		version, err := p.origin.commit(ctx, key)
		if err != nil {
			return // the controller is gone, or this is the end
		}
		var both sync.WaitGroup
		for _, c := range []cache{p.doppio, p.simple} {
			both.Go(func() { r.deleted(c.invalidate(ctx, key, version)) })
		}
		both.Wait()
	}
}
