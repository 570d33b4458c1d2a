package tiered_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/tiered"
)

// The names and signatures that users have written down. What is here may be
// added to, by a field or a method, but not changed: then this does not compile.
var (
	_ func(context.Context, tiered.Options) (*tiered.Node, error)                                     = tiered.Open
	_ func(*tiered.Node, tiered.Config[thing]) (*tiered.Region[thing], error)                         = tiered.New[thing]
	_ func() tiered.Cache[thing]                                                                      = tiered.Noop[thing]
	_ func(...any) string                                                                             = tiered.Key
	_ func(*tiered.Region[thing], func(id) string, load1) *tiered.Loading[id, thing]                  = tiered.Bind[id, thing]
	_ func(*tiered.Node, context.Context) error                                                       = (*tiered.Node).Ready
	_ func(*tiered.Node, context.Context, ...string) error                                            = (*tiered.Node).InvalidateTags
	_ func(*tiered.Node, context.Context, ...tiered.Ref) error                                        = (*tiered.Node).Delete
	_ func(*tiered.Node, string, string) tiered.Ref                                                   = (*tiered.Node).Ref
	_ func(*tiered.Node) tiered.Stats                                                                 = (*tiered.Node).Stats
	_ func(*tiered.Node, context.Context) error                                                       = (*tiered.Node).Shutdown
	_ func(*tiered.Node) error                                                                        = (*tiered.Node).Close
	_ func(*tiered.Region[thing], context.Context, []string, write) error                             = (*tiered.Region[thing]).Mutate
	_ func(*tiered.Region[thing], context.Context, ...string) error                                   = (*tiered.Region[thing]).Expire
	_ func(*tiered.Region[thing], string) tiered.Ref                                                  = (*tiered.Region[thing]).Ref
	_ func(*tiered.Region[thing]) tiered.RegionStats                                                  = (*tiered.Region[thing]).Stats
	_ func(*tiered.Region[thing], context.Context, load2, ...string) error                            = (*tiered.Region[thing]).Refresh
	_ func(*tiered.Region[thing], context.Context, string, loadIf, ...tiered.Option) (thing, error)   = (*tiered.Region[thing]).LoadIf
	_ func(*tiered.Loading[id, thing], context.Context, id, ...tiered.Option) (thing, error)          = (*tiered.Loading[id, thing]).Get
	_ func(*tiered.Loading[id, thing], context.Context, []id, ...tiered.Option) (map[id]thing, error) = (*tiered.Loading[id, thing]).GetMany
	_ func(*tiered.Loading[id, thing], context.Context, ...id) error                                  = (*tiered.Loading[id, thing]).Delete

	_ func(time.Duration) tiered.Option = tiered.WithTTL
	_ func(...string) tiered.Option     = tiered.WithTags
	_ func(*tiered.Info) tiered.Option  = tiered.WithInfo
	_ func() tiered.Option              = tiered.BypassL1
	_ func() tiered.Option              = tiered.ForceLoad

	_ tiered.Cache[thing] = (*tiered.Region[thing])(nil)
	_ interface {
		Get(context.Context, string, ...tiered.Option) (thing, error)
		GetOrLoad(context.Context, string, func(context.Context, string) (thing, error), ...tiered.Option) (thing, error)
		GetMany(context.Context, []string, ...tiered.Option) (map[string]thing, error)
		GetOrLoadMany(context.Context, []string, func(context.Context, []string) (map[string]thing, error), ...tiered.Option) (map[string]thing, error)
		Set(context.Context, string, thing, ...tiered.Option) error
		SetMany(context.Context, map[string]thing, ...tiered.Option) error
		Delete(context.Context, ...string) error
		InvalidateTags(context.Context, ...string) error
		Clear(context.Context) error
	} = tiered.Cache[thing](nil)

	_ = tiered.Options{
		Redis: redis.UniversalClient(nil), Local: false, Prefix: "", L1MaxBytes: int64(0), MaxStaleness: time.Duration(0),
		Partitions: int(0), L2Timeout: time.Duration(0), Logger: (*slog.Logger)(nil), Observer: tiered.Observer(nil),
	}
	_ = tiered.Config[thing]{
		Name: "", TTL: time.Duration(0), SlidingTTL: time.Duration(0), L1TTL: time.Duration(0), Jitter: float64(0),
		NegativeTTL: time.Duration(0), NotFound: []error(nil), StaleFor: time.Duration(0), SoftTimeout: time.Duration(0),
		RefreshAhead: float64(0), LoadTimeout: time.Duration(0), MaxL1Bytes: int64(0), Size: (func(thing) int64)(nil),
		Codec: codec.Codec(nil), Schema: "", Tags: (func(string, thing) []string)(nil),
		TTLFor: (func(string, thing) time.Duration)(nil), Clone: (func(thing) thing)(nil), Mode: tiered.BothTiers,
		OriginLag: time.Duration(0),
	}
	_ = [...]tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only}
	_ = [...]error{tiered.ErrNotFound, tiered.ErrAbsent, tiered.ErrClosed, tiered.ErrUnavailable, tiered.ErrUnchanged}
	_ = [...]error{(*tiered.PendingError)(nil), (*tiered.LoadPanicError)(nil), (*tiered.BatchError)(nil)}
	_ = tiered.Stats{Regions: map[string]tiered.RegionStats(nil)}
	_ = tiered.Entry[thing]{Value: thing{}, Validator: tiered.Validator("")}
	_ interface {
		Name() string
		Append([]byte, any) ([]byte, error)
		Unmarshal([]byte, any) error
	} = codec.Codec(nil)
)

type (
	id     int
	thing  struct{ Name string }
	load1  = func(context.Context, id) (thing, error)
	load2  = func(context.Context, string) (thing, error)
	write  = func(context.Context) error
	loadIf = func(context.Context, string, tiered.Entry[thing]) (thing, tiered.Validator, error)
)

// What RegionStats counts is in fields of these names, all of them uint64.
func TestNamesOfRegionStats(t *testing.T) {
	var s tiered.RegionStats
	for _, field := range []*uint64{
		&s.L1Hits, &s.L1Misses, &s.L2Hits, &s.L2Misses, &s.NegativeHits, &s.Loads, &s.LoadErrors,
		&s.StaleServed, &s.LeaseWaits, &s.FillsRejected,
	} {
		if *field != 0 {
			t.Error("the zero value counts something")
		}
	}
	if !errors.Is(tiered.ErrAbsent, tiered.ErrNotFound) || errors.Is(tiered.ErrNotFound, tiered.ErrAbsent) {
		t.Error("ErrAbsent is an ErrNotFound, and not the other way round")
	}
}
