package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// document is an origin whose value has a validator: the value itself in capitals.
type document struct {
	mu       sync.Mutex
	value    string
	full     int      // answers with the value
	asked    []string // the previous values, "" for none
	midway   func()   // called once, while the next load is under way
	validate func(string) tiered.Validator
}

func (d *document) load(_ context.Context, _ string, prev tiered.Entry[string]) (string, tiered.Validator, error) {
	d.mu.Lock()
	value, midway := d.value, d.midway
	d.midway = nil
	d.asked = append(d.asked, prev.Value)
	d.mu.Unlock()
	if midway != nil {
		midway()
	}
	tag := tiered.Validator(strings.ToUpper(value))
	if d.validate != nil {
		tag = d.validate(value)
	}
	if prev.Validator != "" && prev.Validator == tag {
		return "", "", fmt.Errorf("304: %w", tiered.ErrUnchanged)
	}
	d.mu.Lock()
	d.full++
	d.mu.Unlock()
	return value, tag, nil
}

// is fails the test unless LoadIf gives the value.
func (d *document) is(t *testing.T, r *tiered.Region[string], want string, from tiered.Source, opts ...tiered.Option) tiered.Info {
	t.Helper()
	var info tiered.Info
	got, err := r.LoadIf(t.Context(), "k", d.load, append(opts, tiered.WithInfo(&info))...)
	if err != nil || got != want || info.Source != from {
		t.Errorf("LoadIf = %q from %v, %v; want %q from %v", got, info.Source, err, want, from)
	}
	if d.validate == nil && info.Validator != tiered.Validator(strings.ToUpper(want)) && info.Validator != "" {
		t.Errorf("told the validator %q of %q", info.Validator, want)
	}
	return info
}

// was fails the test unless the loads since the last call were asked with these
// previous values, and the value was transferred so often.
func (d *document) was(t *testing.T, full int, asked ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if fmt.Sprint(d.asked) != fmt.Sprint(asked) || d.full != full {
		t.Errorf("the origin was asked about %q and sent %d values, want %q and %d", d.asked, d.full, asked, full)
	}
	d.asked, d.full = nil, 0
}

const whole = time.Hour

func pages() tiered.Config[string] {
	return tiered.Config[string]{Name: "items", TTL: whole, Jitter: -1}
}

// A value whose life is over has it again, on all instances, if it is unchanged.
func TestLoadIfUnchanged(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := pages()
				cfg.Mode = mode
				nodes := []*tiered.Node{b.node(t), b.node(t)}
				rs := regions(t, nodes, cfg)
				d := &document{value: "a"}
				if info := d.is(t, rs[0], "a", tiered.SourceLoad); info.Validator != "A" {
					t.Errorf("a load tells the validator %q", info.Validator)
				}
				d.was(t, 1, "")
				if info := d.is(t, rs[1], "a", tiered.SourceL2); info.Validator != "A" {
					t.Errorf("Redis tells the validator %q", info.Validator)
				}
				heard := nodes[1].Stats().Received
				for range 3 {
					pass(whole + near)
					d.is(t, rs[0], "a", tiered.SourceLoad)
					d.was(t, 0, "a")
					d.is(t, rs[1], "a", tiered.SourceL2)
					pass(whole / 2)
					if mode == tiered.BothTiers {
						d.is(t, rs[0], "a", tiered.SourceL1)
						d.is(t, rs[1], "a", tiered.SourceL1)
					}
					d.was(t, 0)
				}
				if n := nodes[1].Stats().Received - heard; n != 0 {
					t.Errorf("%d announcements, want none: nothing has changed", n)
				}
				if s := rs[0].Stats(); s.Unchanged != 3 || s.Loads != 4 || s.LoadErrors != 0 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// An instance that has never had the value asks about what Redis has kept.
func TestLoadIfAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		first := b.node(t)
		d := &document{value: "a"}
		d.is(t, region(t, first, pages()), "a", tiered.SourceLoad)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		pass(whole + near)
		d.was(t, 1, "")
		d.is(t, region(t, b.node(t), pages()), "a", tiered.SourceLoad)
		d.was(t, 0, "a")
	})
}

func TestLoadIfChanged(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, pages())
		d := &document{value: "a"}
		d.is(t, rs[0], "a", tiered.SourceLoad)
		d.is(t, rs[1], "a", tiered.SourceL2)
		pass(whole + near)
		d.value = "b"
		d.is(t, rs[1], "b", tiered.SourceLoad)
		d.was(t, 2, "", "a")
		synctest.Wait()
		d.is(t, rs[0], "b", tiered.SourceL2)
		pass(whole + near)
		d.is(t, rs[0], "b", tiered.SourceLoad)
		d.was(t, 0, "b")
	})
}

// What there was counts only if it was not invalidated, and only if the origin has
// given it a name.
func TestLoadIfHasNothingToAskAbout(t *testing.T) {
	tests := map[string]struct {
		config func(*tiered.Config[string])
		then   func(t *testing.T, r *tiered.Region[string], d *document)
		opts   []tiered.Option
	}{
		"after Delete": {then: func(t *testing.T, r *tiered.Region[string], _ *document) {
			succeeds(t, r.Delete(t.Context(), "k"))
		}},
		"after InvalidateTags": {
			config: func(c *tiered.Config[string]) { c.Tags = func(string, string) []string { return []string{"tag"} } },
			then: func(t *testing.T, r *tiered.Region[string], _ *document) {
				pass(whole + near)
				succeeds(t, r.InvalidateTags(t.Context(), "tag"))
			},
		},
		"after Clear": {then: func(t *testing.T, r *tiered.Region[string], _ *document) {
			pass(whole + near)
			succeeds(t, r.Clear(t.Context()))
		}},
		"after Set": {then: func(t *testing.T, r *tiered.Region[string], _ *document) {
			succeeds(t, r.Set(t.Context(), "k", "a"))
			pass(whole + near)
		}},
		"after another load": {then: func(t *testing.T, r *tiered.Region[string], _ *document) {
			_, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) { return "a", nil }, tiered.ForceLoad())
			succeeds(t, err)
			pass(whole + near)
		}},
		"beyond RevalidateFor": {
			config: func(c *tiered.Config[string]) { c.RevalidateFor = time.Minute },
			then:   func(*testing.T, *tiered.Region[string], *document) { pass(whole + time.Minute + near) },
		},
		"with a negative RevalidateFor": {
			config: func(c *tiered.Config[string]) { c.RevalidateFor = -1 },
			then:   func(*testing.T, *tiered.Region[string], *document) { pass(whole + near) },
		},
		"with other tags": {
			then: func(*testing.T, *tiered.Region[string], *document) { pass(whole + near) },
			opts: []tiered.Option{tiered.WithTags("new")},
		},
		"with a validator that is too long": {
			config: func(c *tiered.Config[string]) { c.Schema = "long" },
			then: func(t *testing.T, r *tiered.Region[string], d *document) {
				d.validate = func(v string) tiered.Validator {
					return tiered.Validator(v + strings.Repeat("x", tiered.MaxValidatorBytes))
				}
				succeeds(t, r.Delete(t.Context(), "k"))
				d.is(t, r, "a", tiered.SourceLoad)
				pass(whole + near)
				d.was(t, 2, "", "")
			},
		},
		"of another schema": {then: func(*testing.T, *tiered.Region[string], *document) { pass(whole + near) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := pages()
				if tt.config != nil {
					tt.config(&cfg)
				}
				r := region(t, b.node(t), cfg)
				d := &document{value: "a"}
				d.is(t, r, "a", tiered.SourceLoad)
				tt.then(t, r, d)
				asking := region(t, b.node(t), func() tiered.Config[string] {
					if name == "of another schema" {
						cfg.Schema = "2"
					}
					return cfg
				}())
				d.asked, d.full = nil, 0
				d.is(t, asking, "a", tiered.SourceLoad, tt.opts...)
				d.was(t, 1, "")
			})
		})
	}
}

// "Unchanged" is the origin's answer about a value that Redis has. If that was
// invalidated meanwhile, or is gone, the answer is about something else.
func TestLoadIfOvertaken(t *testing.T) {
	tests := map[string]struct {
		by    func(t *testing.T, b *bubble, other *tiered.Region[string])
		kept  bool // the value of the second load is
		loads []string
	}{
		"by a Delete": {
			by: func(t *testing.T, _ *bubble, other *tiered.Region[string]) {
				succeeds(t, other.Delete(t.Context(), "k"))
			},
			kept: true, loads: []string{"a", ""},
		},
		"by an eviction": {
			by:   func(t *testing.T, b *bubble, _ *tiered.Region[string]) { b.evict(t) },
			kept: true, loads: []string{"a", ""},
		},
		"by a Set": {
			by: func(t *testing.T, _ *bubble, other *tiered.Region[string]) {
				succeeds(t, other.Set(t.Context(), "k", "set"))
			},
			loads: []string{"a"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, pages())
				d := &document{value: "a", validate: func(string) tiered.Validator { return "weak" }}
				d.is(t, rs[0], "a", tiered.SourceLoad)
				pass(whole + near)
				d.was(t, 1, "")
				d.midway = func() {
					tt.by(t, b, rs[1])
					synctest.Wait()
				}
				got, err := rs[0].LoadIf(t.Context(), "k", d.load)
				if want := map[bool]string{true: "a", false: "set"}[tt.kept]; err != nil || got != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
				d.was(t, len(tt.loads)-1, tt.loads...)
				if tt.kept {
					d.is(t, rs[1], "a", tiered.SourceL2)
				} else if got, err := rs[1].Get(t.Context(), "k"); err != nil || got != "set" {
					t.Errorf("the other instance has %q, %v", got, err)
				}
			})
		})
	}
}

// A value that was invalidated while another instance held the lease is not asked
// about by the one that gets it next.
func TestLoadIfInvalidatedWhileItWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		rs := regions(t, []*tiered.Node{b.node(t), b.node(t)}, pages())
		d := &document{value: "a"}
		d.is(t, rs[0], "a", tiered.SourceLoad)
		pass(whole + near)
		d.was(t, 1, "")
		leads, release := make(chan struct{}), make(chan struct{})
		d.midway = func() {
			close(leads)
			<-release
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := rs[0].LoadIf(t.Context(), "k", d.load); err != nil || got != "a" {
				t.Errorf("got %q, %v", got, err)
			}
		})
		<-leads
		wg.Go(func() { d.is(t, rs[1], "a", tiered.SourceLoad) })
		pass(time.Second)
		if s := rs[1].Stats(); s.LeaseWaits != 1 {
			t.Fatalf("stats %+v, want it to wait for the lease", s)
		}
		succeeds(t, rs[0].Delete(t.Context(), "k"))
		pass(time.Second)
		d.was(t, 1, "a", "")
		close(release)
		wg.Wait()
	})
}

// A load that says "unchanged" of nothing has failed.
func TestLoadIfUnchangedOfNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		r := region(t, b.node(t), pages())
		_, err := r.LoadIf(t.Context(), "k", func(context.Context, string, tiered.Entry[string]) (string, tiered.Validator, error) {
			return "", "", tiered.ErrUnchanged
		})
		if err == nil || errors.Is(err, tiered.ErrUnchanged) || errors.Is(err, tiered.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		d := &document{value: "a"}
		d.is(t, r, "a", tiered.SourceLoad)
		pass(whole + near)
		_, err = r.GetOrLoad(t.Context(), "k", func(context.Context, string) (string, error) { return "", tiered.ErrUnchanged })
		if err == nil || errors.Is(err, tiered.ErrUnchanged) {
			t.Errorf("GetOrLoad: got %v; it was not told about any value", err)
		}
		if s := r.Stats(); s.LoadErrors != 2 || s.Unchanged != 0 {
			t.Errorf("stats %+v", s)
		}
		if _, err := r.LoadIf(t.Context(), "k", nil); err == nil {
			t.Error("a nil load is no error")
		}
		if _, err := (*tiered.Region[string])(nil).LoadIf(t.Context(), "k", d.load); err == nil {
			t.Error("a nil region is no error")
		}
	})
}

// A refresh ahead of time, and a forced load, ask about the value that still lives.
func TestLoadIfOfAValueThatLives(t *testing.T) {
	for _, mode := range []tiered.Mode{tiered.BothTiers, tiered.L2Only} {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := pages()
				cfg.Mode, cfg.RefreshAhead = mode, 0.5
				nodes := []*tiered.Node{b.node(t), b.node(t)}
				rs := regions(t, nodes, cfg)
				from := map[tiered.Mode]tiered.Source{tiered.BothTiers: tiered.SourceL1, tiered.L2Only: tiered.SourceL2}[mode]
				d := &document{value: "a"}
				d.is(t, rs[0], "a", tiered.SourceLoad)
				pass(whole * 3 / 4)
				d.is(t, rs[0], "a", from)
				synctest.Wait()
				d.was(t, 1, "", "a")
				pass(whole * 3 / 4)
				d.is(t, rs[0], "a", from)
				synctest.Wait()
				d.was(t, 0, "a")

				heard := nodes[1].Stats().Received
				d.is(t, rs[1], "a", tiered.SourceLoad, tiered.ForceLoad())
				synctest.Wait()
				d.was(t, 0, "a")
				if nodes[1].Stats().Received == heard {
					t.Error("a forced load was not announced: an instance may have what was before the value in Redis")
				}
				d.is(t, rs[0], "a", tiered.SourceL2)
			})
		})
	}
}

// A node that is alone asks about what L1 has.
func TestLoadIfInL1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := region(t, local(t), pages())
		d := &document{value: "a"}
		d.is(t, r, "a", tiered.SourceLoad)
		for range 3 {
			pass(whole + near)
			d.is(t, r, "a", tiered.SourceLoad)
		}
		d.was(t, 1, "", "a", "a", "a")
		succeeds(t, r.Delete(t.Context(), "k"))
		d.is(t, r, "a", tiered.SourceLoad)
		d.was(t, 1, "")
	})
}

// A value from before a failover may be one whose invalidation the new primary
// never got: nobody asks whether it is unchanged.
func TestLoadIfAfterAFailover(t *testing.T) {
	// Long enough that the instance can vouch for the value also on a machine that
	// stalls; and four times in it the epoch is looked at.
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: 2 * time.Second, L2Timeout: patience})
	m := f.members[0]
	var asked []int
	load := func(_ context.Context, _ string, prev tiered.Entry[int]) (int, tiered.Validator, error) {
		asked = append(asked, prev.Value)
		if prev.Validator != "" {
			return 0, "", tiered.ErrUnchanged
		}
		return 1, "1", nil
	}
	read := func() {
		t.Helper()
		if v, err := m.items.LoadIf(t.Context(), "k", load, tiered.ForceLoad()); err != nil || v != 1 {
			t.Fatal(v, err)
		}
	}
	read()
	read()
	c := f.server.Client(t)
	epochs, err := c.Keys(t.Context(), "*:e").Result()
	if err != nil || len(epochs) == 0 {
		t.Fatal(epochs, err)
	}
	for _, k := range epochs {
		e := strings.Split(c.Get(t.Context(), k).Val(), "|")
		e[1], e[2] = "9007199254740991", "1" // first seen long ago, and after all that there is
		c.Set(t.Context(), k, strings.Join(e, "|"), 0)
	}
	eventually(t, "what Redis has is not believed any more", func() bool {
		_, err := m.items.Get(t.Context(), "k", tiered.BypassL1())
		return errors.Is(err, tiered.ErrNotFound)
	})
	read()
	if fmt.Sprint(asked) != "[0 1 0]" {
		t.Errorf("asked about %v, want nothing, the value, and nothing again", asked)
	}
}

// With Config.Clone the load's previous value is its own.
func TestLoadIfClones(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := tiered.Config[[]string]{Name: "items", TTL: whole, Jitter: -1, Clone: func(v []string) []string { return append([]string(nil), v...) }}
		r := region(t, b.node(t), cfg)
		load := func(_ context.Context, _ string, prev tiered.Entry[[]string]) ([]string, tiered.Validator, error) {
			if prev.Validator != "" {
				prev.Value[0] = "modified"
				return nil, "", tiered.ErrUnchanged
			}
			return []string{"a"}, "1", nil
		}
		for range 3 {
			if v, err := r.LoadIf(t.Context(), "k", load); err != nil || v[0] != "a" {
				t.Errorf("got %v, %v", v, err)
			}
			pass(whole + near)
		}
	})
}

// On a real Redis, without which a load asks about L1's copy for as long as that
// can be vouched for.
func TestLoadIfOnRedis(t *testing.T) {
	f := newFleet(t, 2, func(c *tiered.Config[int]) { c.RefreshAhead = 0.0001 })
	a, b := f.members[0], f.members[1]
	f.origin.commit("k")
	load := func(ctx context.Context, key string, prev tiered.Entry[int]) (int, tiered.Validator, error) {
		v, err := f.origin.load(ctx, key)
		if tag := tiered.Validator(fmt.Sprint(v)); err != nil || tag != prev.Validator {
			return v, tag, err
		}
		return 0, "", tiered.ErrUnchanged
	}
	read := func(m *member, opts ...tiered.Option) int {
		v, err := m.items.LoadIf(t.Context(), "k", load, opts...)
		if err != nil {
			t.Error(err)
		}
		return v
	}
	read(a)
	eventually(t, "refreshes find the value unchanged", func() bool {
		return read(a) == 1 && read(b) == 1 && a.items.Stats().Unchanged > 0
	})
	f.origin.commit("k")
	succeeds(t, a.items.Delete(t.Context(), "k"))
	if v := read(a); v != 2 {
		t.Errorf("%d after the Delete, want 2", v)
	}
	eventually(t, "the other instance has it", func() bool { return read(b) == 2 })
	before := b.items.Stats().Unchanged
	read(b, tiered.ForceLoad())
	if b.items.Stats().Unchanged == before {
		t.Error("a forced load did not ask about the value")
	}
	f.server.Kill()
	f.origin.commit("k")
	eventually(t, "a value that Redis knows nothing of", func() bool { return read(a) == 3 && read(b) == 3 })
}

func succeeds(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// evict takes the value out of Redis.
func (b *bubble) evict(t *testing.T) {
	t.Helper()
	for _, k := range b.redis.Keys() {
		if strings.HasSuffix(k, ":v:items:k") && b.redis.Del(k) {
			return
		}
	}
	t.Fatal("there is no value to evict")
}
