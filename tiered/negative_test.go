package tiered_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

var errGone = errors.New("customer was erased")

// A load says in these ways that the origin has no such thing. The error that
// the caller gets still says how.
func TestWaysToSayThatThereIsNoSuchThing(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		absent bool
	}{
		{"ErrNotFound", tiered.ErrNotFound, true},
		{"ErrAbsent", tiered.ErrAbsent, true},
		{"ErrNotFound, wrapped", fmt.Errorf("item 7: %w", tiered.ErrNotFound), true},
		{"one of Config.NotFound", sql.ErrNoRows, true},
		{"another of Config.NotFound, wrapped", fmt.Errorf("select: %w", errGone), true},
		{"joined with another error", errors.Join(errors.New("warning"), sql.ErrNoRows), true},
		{"any other error", sql.ErrConnDone, false},
		{"out of time while looking", fmt.Errorf("%w: %w", sql.ErrNoRows, context.DeadlineExceeded), false},
		{"cancelled while looking", fmt.Errorf("%w: %w", tiered.ErrNotFound, context.Canceled), false},
	}
	b := redistest.Mini(t)
	rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: "items", NotFound: []error{sql.ErrNoRows, errGone}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := tt.name
			s := &source[string]{err: tt.err}
			_, info, err := read(t, rs[0], key, s)
			if !errors.Is(err, tt.err) || info.Source != tiered.SourceLoad {
				t.Errorf("the first call got %v from %v, want the load's error", err, info.Source)
			}
			if !tt.absent {
				if errors.Is(err, tiered.ErrAbsent) {
					t.Errorf("%v is taken for an absence", err)
				}
				read(t, rs[0], key, s)
				s.reads(t, 2) // not remembered
				return
			}
			if !errors.Is(err, tiered.ErrAbsent) || !errors.Is(err, tiered.ErrNotFound) {
				t.Errorf("the first call got %v, want an ErrAbsent, which is an ErrNotFound", err)
			}
			for i, r := range rs {
				_, info, err := read(t, r, key, s)
				if !errors.Is(err, tiered.ErrAbsent) || info.Source == tiered.SourceLoad {
					t.Errorf("instance %d: %v from %v, want ErrAbsent from a tier", i, err, info.Source)
				}
				settles(t, r, key)
				if _, err := r.Get(t.Context(), key); !errors.Is(err, tiered.ErrAbsent) {
					t.Errorf("instance %d: an L1 hit gives %v, want ErrAbsent", i, err)
				}
			}
			s.reads(t, 1)
		})
	}
}

func TestAbsenceIsNotRememberedWithANegativeNegativeTTL(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
			rs := regions(t, instances(t, b, 2), tiered.Config[string]{Name: mode.String(), Mode: mode, NegativeTTL: -1})
			s := &source[string]{err: tiered.ErrNotFound}
			for range 2 {
				for _, r := range rs {
					if _, info, err := read(t, r, "k", s); !errors.Is(err, tiered.ErrAbsent) || info.Source != tiered.SourceLoad {
						t.Errorf("%v: got %v from %v, want ErrAbsent from a load", mode, err, info.Source)
					}
				}
			}
			s.reads(t, 4)
			if _, err := rs[0].Get(t.Context(), "k"); !errors.Is(err, tiered.ErrNotFound) || errors.Is(err, tiered.ErrAbsent) {
				t.Errorf("%v: Get gives %v, want ErrNotFound and not ErrAbsent", mode, err)
			}
		}
	})
}

// What comes into being is found: by Set, or by Delete after the commit.
func TestAbsenceEndsWithSetAndDelete(t *testing.T) {
	ends := map[string]func(t *testing.T, r *tiered.Region[string]){
		"Set": func(t *testing.T, r *tiered.Region[string]) {
			if err := r.Set(t.Context(), "k", "v"); err != nil {
				t.Fatal(err)
			}
		},
		"Delete": func(t *testing.T, r *tiered.Region[string]) {
			if err := r.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		},
	}
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Parallel()
		nodes := instances(t, b, 2)
		for name, end := range ends {
			rs := regions(t, nodes, tiered.Config[string]{Name: name})
			missing := &source[string]{err: tiered.ErrNotFound}
			for _, r := range rs {
				read(t, r, "k", missing)
				settles(t, r, "k")
			}
			end(t, rs[0])
			there := &source[string]{value: "v"}
			if v, _, err := read(t, rs[0], "k", there); v != "v" || err != nil {
				t.Errorf("after %s: %q, %v", name, v, err)
			}
			eventually(t, "the other instance finds it after "+name, func() bool {
				v, _, err := read(t, rs[1], "k", there)
				return v == "v" && err == nil
			})
		}
	})
}

// An error of the load is the answer of that load only.
func TestErrorsAreNotRemembered(t *testing.T) {
	errBroken := errors.New("broken")
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L1Only, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			rs := regions(t, instances(t, redistest.Mini(t), 2), tiered.Config[string]{Name: "items", Mode: mode})
			bad, good := &source[string]{value: "half", err: errBroken}, &source[string]{value: "v"}
			for _, r := range rs {
				v, _, err := read(t, r, "k", bad)
				if !errors.Is(err, errBroken) || v != "" {
					t.Errorf("got %q, %v; want the load's error and no value", v, err)
				}
			}
			bad.reads(t, 2)
			wants(t, rs[1], "k", good, "v", tiered.SourceLoad)
			if s := rs[0].Stats(); s.LeaseWaits != 0 {
				t.Errorf("%d waits for a lease that nobody holds", s.LeaseWaits)
			}
		})
	}
}
