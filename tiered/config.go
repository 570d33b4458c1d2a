package tiered

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/doppio-cache/doppio/codec"
)

// Defaults of a [Config].
const (
	DefaultTTL          = 5 * time.Minute
	DefaultNegativeTTL  = 30 * time.Second
	DefaultJitter       = 0.1
	DefaultLoadTimeout  = 30 * time.Second
	DefaultWriteTimeout = 10 * time.Second
)

// maxRegionBytes bounds a region's name: it is part of every Redis key.
const maxRegionBytes = 128

// What the header of a value in Redis has room for.
const (
	maxCodecBytes  = 1<<8 - 1
	maxSchemaBytes = 1<<16 - 1
)

// Mode says which tiers a region uses.
type Mode uint8

// Modes of a region.
const (
	BothTiers Mode = iota // L1 in front of L2
	L1Only                // values stay in process memory; invalidations still reach all instances
	L2Only                // values live in Redis alone; every read is a round trip
)

func (m Mode) String() string {
	switch m {
	case BothTiers:
		return "both tiers"
	case L1Only:
		return "L1 only"
	case L2Only:
		return "L2 only"
	default:
		return fmt.Sprintf("Mode(%d)", uint8(m))
	}
}

// Config describes a region: one kind of value. Only Name is required.
//
// Its functions are called by many goroutines at once, must not block, and must not
// call the region. One that panics during a load is a [*LoadPanicError] of that load;
// in Set, and in Clone at a hit, the panic reaches the caller.
type Config[V any] struct {
	// Name is required. It is part of every Redis key and of metrics, and must
	// be the same on all instances: at most 128 bytes, no ':'.
	Name string
	// TTL is the life of a value in both tiers; at most 100 years. Defaults to 5m.
	TTL time.Duration
	// SlidingTTL, if set, is how long a value that nobody reads stays: between
	// this and half as much again after it was read for the last time, on any
	// instance. TTL remains the limit, and must be longer than this. It costs at most
	// four small writes to Redis per SlidingTTL, for each value in use and each
	// instance that uses it. At least 100ms. Defaults to 0: off.
	SlidingTTL time.Duration
	// L1TTL caps the life in L1, also that of values to which WithTTL or TTLFor give
	// a longer one. It must not be longer than TTL. Defaults to TTL; where L1 is the
	// only tier, to no cap.
	L1TTL time.Duration
	// Jitter shortens each life by a random share up to this, so that values
	// stored together do not expire together. Below 1. Defaults to 0.1;
	// negative: none.
	Jitter float64
	// NegativeTTL is how long "the origin has no such thing" is remembered.
	// Defaults to 30s; negative: not at all.
	NegativeTTL time.Duration
	// NotFound are errors of the load that mean that the origin has no such
	// thing (sql.ErrNoRows, your domain's), besides ErrNotFound. Defaults to none.
	NotFound []error
	// StaleFor is how long past its life a value may be served when the load that
	// should replace it fails or, with SoftTimeout, is slow. A value that was
	// invalidated is gone, never stale. Values stay in Redis for that much longer, and
	// a load that replaces one is announced. Defaults to 0: never. See [Info].Stale.
	StaleFor time.Duration
	// SoftTimeout is how long a call waits for a load while there is a value that
	// StaleFor allows to be served; then it is, and the load goes on. It must be
	// shorter than LoadTimeout. An error without StaleFor. Defaults to 0: as long as
	// the load takes.
	SoftTimeout time.Duration
	// RefreshAhead is the share of a value's life, above 0 and below 1, after which a
	// call with a load function that hits it (GetOrLoad, LoadIf, GetOrLoadMany, Warm,
	// or those of a Loading) starts one load in the background, in the whole fleet.
	// Readers do not wait for it. The origin is loaded from up to 1/RefreshAhead as
	// often; each refresh is announced, and read from Redis by each instance that uses
	// the value. Defaults to 0: off.
	RefreshAhead float64
	// LoadTimeout limits one load, and how long a call waits for another
	// instance's load before it loads by itself. Defaults to 30s.
	LoadTimeout time.Duration
	// WriteTimeout limits one write of [Region.Mutate]; its keys stay uncached for two
	// seconds (and OriginLag) more than that if the process dies in the middle. A call
	// that joins a load under way may get the old value for as long as that load
	// takes, if it began within the bound. Defaults to 10s.
	WriteTimeout time.Duration
	// OriginLag is how far behind the origin that loads read may be, where that is
	// a replica: a value that is loaded within that time after an invalidation
	// of its key may be the old one, and is not kept. Until then each read of the
	// key loads, unless a Set has stored a value. Every instance that invalidates
	// keys of the region must have declared it with the same OriginLag, and Redis
	// must not evict keys (noeviction). Without Redis what is loaded is kept for
	// MaxStaleness. There is no telling which keys a tag or a Clear concerns, so that
	// such a region has neither: Tags with it is an error of New, WithTags an
	// [ErrInvalidOption], Clear an [errors.ErrUnsupported]. An error in L1Only regions
	// and Local nodes. Defaults to 0: loads read what was committed.
	OriginLag time.Duration
	// RevalidateFor is how long past its life a value that [Region.LoadIf] has
	// stored with a validator stays in Redis, also after [Region.Expire], so that the
	// origin can be asked whether it is unchanged. It is not served for that. (In L1 it
	// stays until there is no more room.) Defaults to TTL, or StaleFor if that is longer;
	// negative: as long as StaleFor.
	RevalidateFor time.Duration
	// MaxL1Bytes is the size of the largest value that is kept in L1; larger
	// ones live in L2 only. Defaults to Options.L1MaxBytes/64.
	MaxL1Bytes int64
	// Size is the number of bytes that a value takes in L1. Defaults to its
	// encoded size; the overhead of an entry is added in either case, and below 0
	// counts as 0. A region that is L1Only and has no Size encodes each loaded value
	// just to know.
	Size func(V) int64
	// Codec encodes values for Redis. Defaults to codec.MsgPack.
	Codec codec.Codec
	// Schema identifies V's encoding. A value in Redis with another one is a
	// miss, and is left there until it expires, so that two versions of a
	// service do not keep overwriting each other. Defaults to a fingerprint of
	// the type. One that is set by hand must be changed by hand with the type:
	// nothing else keeps a value of the old type from being read as the new.
	Schema string
	// ErrorTTLFor is how long a load's error is returned to those who ask for the
	// key instead of loading again, by this instance, so that an origin that is
	// down is not asked by everybody; 0 or less: not at all. It sees each error
	// of a load, so it can tell them apart: a [*LoadPanicError] (which stands
	// without its Stack) and an [ErrLoadTimeout] too, but not "not found" (see
	// NegativeTTL), and no context.Canceled, which says nothing of the origin.
	// At most 16,384 errors of a region stand at once. Values in Redis are served all
	// the same, ForceLoad loads, and an invalidation of the key, on any instance, ends
	// it. Defaults to none.
	ErrorTTLFor func(err error) time.Duration
	// TTLFor is the life of a value, known from the value. 0: TTL; negative:
	// the value is not cached. WithTTL takes precedence. Defaults to none.
	TTLFor func(key string, v V) time.Duration
	// Tags are tags that are known from the value, besides those that WithTags
	// gives: see [Node.InvalidateTags]. A value with an invalid one is not
	// cached. Each tag costs a comparison at each hit, 32 bytes in L1,
	// and its name and 10 bytes in Redis. Defaults to none.
	Tags func(key string, v V) []string
	// Clone makes every value that crosses the API the caller's own: what
	// hits, waiters and the loading caller get, and what Set stores. It costs a copy
	// at each hit; see codec.Cloner. Defaults to sharing: do not modify what you get.
	Clone func(V) V
	// Mode says which tiers are used. Defaults to BothTiers. Settings that only
	// describe a tier that is not used (L1TTL, MaxL1Bytes, Size; Codec, Schema) are
	// allowed and do not matter, so that the mode can be switched.
	Mode Mode
}

// validate names all problems at once. node's options have been validated.
func (cfg *Config[V]) validate(opts *Options) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := checkRegionName(cfg.Name); err != nil {
		bad("Name: %w", err)
	}
	for _, life := range []struct {
		name string
		time.Duration
	}{{"TTL", cfg.TTL}, {"L1TTL", cfg.L1TTL}, {"LoadTimeout", cfg.LoadTimeout}, {"WriteTimeout", cfg.WriteTimeout}, {"OriginLag", cfg.OriginLag}} {
		if life.Duration < 0 {
			bad("%s is negative (%v)", life.name, life.Duration)
		}
	}
	if ttl := orDefault(cfg.TTL, DefaultTTL); ttl >= 0 && cfg.L1TTL > ttl {
		bad("L1TTL (%v) is longer than TTL (%v)", cfg.L1TTL, ttl)
	}
	if !(cfg.Jitter < 1) { // also true for NaN
		bad("Jitter is %v, must be below 1", cfg.Jitter)
	}
	for i, err := range cfg.NotFound {
		if err == nil {
			bad("NotFound[%d] is nil", i)
		}
	}
	if cfg.MaxL1Bytes < 0 || cfg.MaxL1Bytes > opts.L1MaxBytes {
		bad("MaxL1Bytes is %d, must be between 0 and Options.L1MaxBytes (%d)", cfg.MaxL1Bytes, opts.L1MaxBytes)
	}
	if cfg.OriginLag > 0 && cfg.Tags != nil {
		bad("Tags cannot be combined with OriginLag")
	}
	if cfg.OriginLag > 0 && (cfg.Mode == L1Only || opts.Local) {
		bad("OriginLag needs Redis, which the region does not use")
	}
	if cfg.Mode > L2Only {
		bad("unknown Mode %d", cfg.Mode)
	}
	if opts.Local && cfg.Mode == L2Only {
		bad("Mode is L2Only, but the node is Local and has no L2")
	}
	return errors.Join(append(errs, cfg.validateStale(), cfg.validateRefresh(), cfg.validateSliding(), cfg.validateCodec(opts))...)
}

func (cfg *Config[V]) validateCodec(opts *Options) error {
	c := cfg.Codec
	if c == nil {
		c = codec.MsgPack
	} else if v := reflect.ValueOf(c); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("Codec is a nil %T", c)
	}
	if (cfg.Mode == L1Only || opts.Local) && cfg.Size != nil {
		return nil // nothing is ever encoded
	}
	var errs []error
	if n := len(c.Name()); n > maxCodecBytes {
		errs = append(errs, fmt.Errorf("the name of Codec has %d bytes, at most %d are allowed", n, maxCodecBytes))
	}
	if n := len(cfg.Schema); n > maxSchemaBytes {
		errs = append(errs, fmt.Errorf("Schema has %d bytes, at most %d are allowed", n, maxSchemaBytes))
	}
	if err := codec.Check(c, reflect.TypeFor[V]()); err != nil {
		errs = append(errs, fmt.Errorf("value type: %w", err))
	}
	return errors.Join(errs...)
}

// withDefaults returns cfg with its zero fields filled in.
func (cfg Config[V]) withDefaults(opts *Options) Config[V] {
	cfg.TTL = orDefault(cfg.TTL, DefaultTTL)
	cfg.NegativeTTL = orDefault(cfg.NegativeTTL, DefaultNegativeTTL)
	cfg.LoadTimeout = orDefault(cfg.LoadTimeout, DefaultLoadTimeout)
	cfg.Jitter = max(0, orDefault(cfg.Jitter, DefaultJitter))
	cfg.WriteTimeout = orDefault(cfg.WriteTimeout, DefaultWriteTimeout)
	cfg.MaxL1Bytes = orDefault(cfg.MaxL1Bytes, opts.L1MaxBytes/64)
	cfg.RevalidateFor = max(cfg.StaleFor, orDefault(cfg.RevalidateFor, cfg.TTL))
	for _, d := range []*time.Duration{&cfg.TTL, &cfg.L1TTL, &cfg.StaleFor, &cfg.SlidingTTL, &cfg.LoadTimeout, &cfg.WriteTimeout, &cfg.OriginLag, &cfg.RevalidateFor} {
		*d = min(*d, maxLife) // so that their sums do not overflow
	}
	if cfg.Codec == nil {
		cfg.Codec = codec.MsgPack
	}
	if cfg.Schema == "" {
		cfg.Schema = codec.Fingerprint(cfg.Codec, reflect.TypeFor[V]())
	}
	if opts.Local {
		cfg.Mode = L1Only
	}
	if cfg.Mode == L1Only { // a shorter life than WithTTL says would be the value's end
		cfg.L1TTL = orDefault(cfg.L1TTL, maxLife)
	}
	cfg.L1TTL = orDefault(cfg.L1TTL, cfg.TTL)
	return cfg
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func checkRegionName(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty")
	case len(name) > maxRegionBytes:
		return fmt.Errorf("it has %d bytes, at most %d are allowed", len(name), maxRegionBytes)
	case strings.Contains(name, ":"):
		return fmt.Errorf("%q contains ':'", name)
	}
	return nil
}

// notFound reports whether a load's error says that the origin has no such
// thing. A load that ran out of time proves nothing, whatever it wraps.
func (cfg *Config[V]) notFound(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	if _, ofBatch := errors.AsType[*batchFailure](err); ofBatch {
		return false
	}
	if errors.Is(err, ErrNotFound) {
		return true
	}
	for _, target := range cfg.NotFound {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
