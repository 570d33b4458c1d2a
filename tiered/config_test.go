package tiered_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/codec"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

type (
	// product is a value as services have them.
	product struct {
		ID    int
		Name  string
		Price float64
		Tags  []string
	}
	withUnexported struct {
		Name  string
		price int //nolint:unused // that it would be lost is the point
	}
	withInterface struct{ Payload any }
	named         struct{ codec.Codec }
)

func (n named) Name() string { return strings.Repeat("n", 256) }

// problems is what New says about a configuration.
func problems[V any](n *tiered.Node, cfg tiered.Config[V]) (err error, region bool) { //nolint:revive // the error is what is asked for
	r, err := tiered.New(n, cfg)
	return err, r != nil
}

func TestNewNamesAllProblemsAtOnce(t *testing.T) {
	const mib = 1 << 20
	n := open(t, tiered.Options{Local: true, L1MaxBytes: mib})
	shared := instances(t, redistest.Mini(t), 1)[0]
	type cfg = tiered.Config[product]
	ask := func(n *tiered.Node, c cfg) func() (error, bool) {
		return func() (error, bool) { return problems(n, c) }
	}
	var nilCodec *named
	tests := []struct {
		name string
		new  func() (error, bool)
		want []string
	}{
		{"no name", ask(n, cfg{}), []string{"Name: it is empty"}},
		{"name with a colon", ask(n, cfg{Name: "a:b"}), []string{`Name: "a:b" contains ':'`}},
		{"long name", ask(n, cfg{Name: strings.Repeat("n", 129)}), []string{"Name: it has 129 bytes, at most 128"}},
		{"negative TTL", ask(n, cfg{Name: "x", TTL: -1}), []string{"TTL is negative (-1ns)"}},
		{"negative L1TTL", ask(n, cfg{Name: "x", L1TTL: -time.Second}), []string{"L1TTL is negative (-1s)"}},
		{"negative LoadTimeout", ask(n, cfg{Name: "x", LoadTimeout: -1}), []string{"LoadTimeout is negative"}},
		{"L1TTL above TTL", ask(n, cfg{Name: "x", TTL: time.Minute, L1TTL: time.Hour}), []string{"L1TTL (1h0m0s) is longer than TTL (1m0s)"}},
		{"L1TTL above the default TTL", ask(n, cfg{Name: "x", L1TTL: 6 * time.Minute}), []string{"L1TTL (6m0s) is longer than TTL (5m0s)"}},
		{"all of a life as jitter", ask(n, cfg{Name: "x", Jitter: 1}), []string{"Jitter is 1, must be below 1"}},
		{"infinite jitter", ask(n, cfg{Name: "x", Jitter: math.Inf(1)}), []string{"Jitter is +Inf"}},
		{"jitter that is no number", ask(n, cfg{Name: "x", Jitter: math.NaN()}), []string{"Jitter is NaN"}},
		{"nil among NotFound", ask(n, cfg{Name: "x", NotFound: []error{tiered.ErrNotFound, nil}}), []string{"NotFound[1] is nil"}},
		{"negative MaxL1Bytes", ask(n, cfg{Name: "x", MaxL1Bytes: -1}), []string{"MaxL1Bytes is -1"}},
		{"MaxL1Bytes above the cache", ask(n, cfg{Name: "x", MaxL1Bytes: mib + 1}), []string{"MaxL1Bytes is 1048577", "(1048576)"}},
		{"unknown mode", ask(n, cfg{Name: "x", Mode: 3}), []string{"unknown Mode 3"}},
		{"L2Only on a local node", ask(n, cfg{Name: "x", Mode: tiered.L2Only}), []string{"L2Only", "Local"}},
		{"nil codec in an interface", ask(shared, cfg{Name: "x", Codec: nilCodec}), []string{"Codec is a nil *tiered_test.named"}},
		{"nil codec where nothing is encoded",
			ask(n, cfg{Name: "x", Codec: nilCodec, Size: func(product) int64 { return 1 }}), []string{"Codec is a nil"}},
		{"codec with a name that no envelope holds", ask(shared, cfg{Name: "x", Codec: named{codec.MsgPack}}), []string{"Codec", "256 bytes"}},
		{"schema that no envelope holds", ask(shared, cfg{Name: "x", Schema: strings.Repeat("s", 1<<16)}), []string{"Schema", "65536 bytes"}},
		{"everything", ask(n, cfg{Name: ":", TTL: -1, L1TTL: -2, LoadTimeout: -3, Jitter: 2, NotFound: []error{nil}, MaxL1Bytes: -4, Mode: 9}), []string{
			`region ":"`, "contains ':'", "TTL is negative (-1ns)", "L1TTL is negative (-2ns)", "LoadTimeout is negative (-3ns)",
			"Jitter is 2", "NotFound[0]", "MaxL1Bytes is -4", "unknown Mode 9",
		}},
		{"value with unexported fields",
			func() (error, bool) { return problems(shared, tiered.Config[withUnexported]{Name: "x"}) }, []string{"withUnexported.price"}},
		{"value with a bare interface",
			func() (error, bool) { return problems(shared, tiered.Config[withInterface]{Name: "x"}) }, []string{"withInterface.Payload", "interface"}},
		{"value that is a bare interface",
			func() (error, bool) { return problems(shared, tiered.Config[any]{Name: "x"}) }, []string{"interface"}},
		{"value that is a channel",
			func() (error, bool) { return problems(shared, tiered.Config[chan int]{Name: "x"}) }, []string{"chan"}},
		{"codec with settings that make no sense",
			func() (error, bool) {
				return problems(shared, tiered.Config[int]{Name: "x", Codec: codec.Compress(codec.MsgPack, codec.WithLimit(-1), codec.WithThreshold(-2))})
			}, []string{"the limit is -1", "the threshold is negative (-2)"}},
		{"sliding life that is neither long nor short enough",
			ask(shared, cfg{Name: "x", TTL: time.Millisecond, SlidingTTL: 2 * time.Millisecond}),
			[]string{"SlidingTTL is shorter than 100ms", "SlidingTTL (2ms) is not shorter than TTL (1ms)"}},
		{"value that the codec does not know",
			func() (error, bool) { return problems(shared, tiered.Config[int]{Name: "x", Codec: codec.Raw}) }, []string{"raw"}},
		{"value and settings",
			func() (error, bool) { return problems(shared, tiered.Config[withUnexported]{TTL: -1}) },
			[]string{"Name: it is empty", "TTL is negative", "withUnexported.price"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err, region := tt.new()
			if err == nil {
				t.Fatal("no error")
			}
			if !errors.Is(err, tiered.ErrInvalidOption) {
				t.Errorf("%v is no ErrInvalidOption", err)
			}
			if strings.Contains(err.Error(), "(0s)") {
				t.Errorf("%v: what was not set is no problem", err)
			}
			if region {
				t.Error("an error came with a region")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
	if len(n.Stats().Regions)+len(shared.Stats().Regions) > 0 {
		t.Error("a refused region was declared")
	}
}

// The limits themselves are allowed.
func TestNewTakesTheLimits(t *testing.T) {
	const mib = 1 << 20
	n := instances(t, redistest.Mini(t), 1, func(o *tiered.Options) { o.L1MaxBytes = mib })[0]
	configs := []tiered.Config[product]{
		{Name: strings.Repeat("n", 128)},
		{Name: "ttl", TTL: 1, L1TTL: 1},
		{Name: "default ttl", L1TTL: tiered.DefaultTTL},
		{Name: "jitter", Jitter: 0.999},
		{Name: "no jitter", Jitter: math.Inf(-1)},
		{Name: "negative", NegativeTTL: math.MinInt64},
		{Name: "large", MaxL1Bytes: mib},
		{Name: "schema", Schema: strings.Repeat("s", 1<<16-1)},
	}
	for _, cfg := range configs {
		r := region(t, n, cfg)
		if r.Name() != cfg.Name {
			t.Errorf("the region is called %q, want %q", r.Name(), cfg.Name)
		}
		if _, ok := n.Stats().Regions[cfg.Name]; !ok {
			t.Errorf("%q has no statistics", cfg.Name)
		}
		s := &source[product]{value: product{ID: 7}}
		if v, _, err := read(t, r, "k", s); err != nil || v.ID != 7 {
			t.Errorf("%q: %+v, %v", cfg.Name, v, err)
		}
	}
}

// A region that never encodes takes any type.
func TestNothingIsAskedOfATypeThatIsNeverEncoded(t *testing.T) {
	type handle struct {
		private int
		c       chan int
		f       func()
	}
	cfg := tiered.Config[*handle]{Name: "items", Mode: tiered.L1Only, Size: func(*handle) int64 { return 64 }}
	for name, n := range map[string]*tiered.Node{"local": local(t), "shared": instances(t, redistest.Mini(t), 1)[0]} {
		r := region(t, n, cfg)
		want := &handle{private: 1, c: make(chan int), f: func() {}}
		s := &source[*handle]{value: want}
		wants(t, r, "k", s, want, tiered.SourceLoad)
		wants(t, r, "k", s, want, tiered.SourceL1)
		if err := r.Set(t.Context(), "k", nil); err != nil {
			t.Errorf("%s: Set: %v", name, err)
		}
		wants(t, r, "k", s, nil, tiered.SourceL1)
	}
}

func TestARegionIsDeclaredOncePerNode(t *testing.T) {
	n, other := local(t), local(t)
	if _, err := tiered.New(n, tiered.Config[int]{Name: "items", TTL: -1}); err == nil {
		t.Fatal("a negative TTL was not refused")
	}
	region(t, n, tiered.Config[int]{Name: "items"}) // what was refused is not declared
	if _, err := tiered.New(n, tiered.Config[string]{Name: "items"}); !errors.Is(err, tiered.ErrInvalidOption) || !strings.Contains(err.Error(), `"items" is declared already`) {
		t.Errorf("got %v for a second region of the name", err)
	}
	region(t, other, tiered.Config[string]{Name: "items"})
}

func TestNewOnNoNode(t *testing.T) {
	if _, err := tiered.New(nil, tiered.Config[int]{Name: "items"}); !errors.Is(err, tiered.ErrInvalidOption) {
		t.Errorf("nil node: %v", err)
	}
	n := local(t)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tiered.New(n, tiered.Config[int]{Name: "items"}); !errors.Is(err, tiered.ErrClosed) {
		t.Errorf("closed node: %v, want ErrClosed", err)
	}
}
