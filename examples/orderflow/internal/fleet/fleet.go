package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
)

// Kind says which cache a fleet uses.
type Kind string

// Kinds of fleets.
const (
	Doppio   Kind = "doppio"
	Baseline Kind = "baseline"
)

// Options configure a fleet.
type Options struct {
	Kind      Kind
	Instances int
	DB        *origin.DB     // closed by the caller
	Redis     *redis.Options // of a standalone server; DialTimeout must be set
	Prefix    string         // of everything in Redis

	L1MaxBytes    int64
	L2Timeout     time.Duration
	MaxStaleness  time.Duration // of Doppio
	BaselineL1TTL time.Duration // of the baseline; 0: the life of the region
	Logger        *slog.Logger
}

// Fleet is the service as several instances.
type Fleet struct {
	Kind      Kind
	DB        *origin.DB
	Instances []*Instance
}

// Start starts all instances and waits until they hear invalidations.
func Start(ctx context.Context, opts Options) (*Fleet, error) {
	f := &Fleet{Kind: opts.Kind, DB: opts.DB}
	for n := range opts.Instances {
		inst, err := startInstance(ctx, n+1, opts)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start instance %d: %w", n+1, err), f.Close(ctx))
		}
		f.Instances = append(f.Instances, inst)
	}
	for _, inst := range f.Instances {
		if err := inst.cache.Ready(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("instance %d: %w", inst.Number, err), f.Close(ctx))
		}
	}
	return f, nil
}

// Close stops all instances.
func (f *Fleet) Close(ctx context.Context) error {
	var errs []error
	for _, inst := range f.Instances {
		errs = append(errs, inst.Close(ctx))
	}
	return errors.Join(errs...)
}

// Unconfirmed adds up the instances' invalidations that Redis has not confirmed.
func (f *Fleet) Unconfirmed() (n int) {
	for _, inst := range f.Instances {
		n += inst.Unconfirmed()
	}
	return n
}

// Failures adds up the instances' calls to Redis that have failed.
func (f *Fleet) Failures() (n uint64) {
	for _, inst := range f.Instances {
		n += inst.cache.Failures()
	}
	return n
}

// Counts adds up what the instances' reads came to, by region.
func (f *Fleet) Counts() map[string]Counts {
	sum := make(map[string]Counts)
	for _, inst := range f.Instances {
		for name, c := range inst.Counts() {
			sum[name] = sum[name].Add(c)
		}
	}
	return sum
}

// DropMessages makes pub/sub messages to all instances vanish, or pass again.
func (f *Fleet) DropMessages(drop bool) {
	for _, inst := range f.Instances {
		inst.Link.DropMessages(drop)
	}
}

// Dropped is the number of messages that have vanished.
func (f *Fleet) Dropped() (n uint64) {
	for _, inst := range f.Instances {
		n += inst.Link.Dropped()
	}
	return n
}
