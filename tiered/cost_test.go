package tiered_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// Clear sends the same commands, in one round trip, and Redis carries out the same,
// whether the region has ten values or some thousand.
func TestClearCostsTheSameAtAnySize(t *testing.T) {
	f := newFleetWith(t, 1, tiered.Options{MaxStaleness: 10 * time.Minute, L2Timeout: patience})
	m := f.members[0]
	if err := m.items.Clear(t.Context()); err != nil { // Redis knows the script
		t.Fatal(err)
	}
	inRedis := func() (n int) {
		for _, command := range []string{"unlink", "del", "scan", "keys", "set", "incr", "publish"} {
			n += f.server.Commands(t, command)
		}
		return n
	}
	type cost struct{ trips, scripts, commands int }
	costs := make(map[int]cost)
	for _, size := range []int{10, 3000} {
		values := make(map[string]int)
		for i := range size {
			values[strconv.Itoa(i)] = i
		}
		if err := m.items.SetMany(t.Context(), values); err != nil {
			t.Fatal(err)
		}
		before := inRedis()
		m.proxy.ResetCounts()
		if err := m.items.Clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		costs[size] = cost{m.proxy.RoundTrips(), scriptsOf(m.proxy), inRedis() - before}
		got, err := m.items.GetMany(t.Context(), slices.Collect(maps.Keys(values)))
		if err != nil || len(got) != 0 {
			t.Errorf("%d values are left, %v", len(got), err)
		}
	}
	if costs[10] != costs[3000] || costs[10].trips != 1 || costs[10].scripts != tiered.DefaultPartitions {
		t.Errorf("Clear of 10 values costs %+v, of 3,000 %+v", costs[10], costs[3000])
	}
}

// scriptsOf counts the scripts that were sent.
func scriptsOf(p *redistest.Proxy) (n int) {
	for command, times := range p.Commands() {
		if strings.HasPrefix(command, "EVAL") {
			n += times
		}
	}
	return n
}

// Fifty tags are one round trip, whatever regions their values are in.
func TestManyTagsAreInvalidatedInOneRoundTrip(t *testing.T) {
	f := newFleetWith(t, 2, tiered.Options{MaxStaleness: 10 * time.Minute, L2Timeout: patience})
	a, b := f.members[0], f.members[1]
	both := []*tiered.Region[int]{b.items, region(t, b.Node, tiered.Config[int]{Name: "others", Jitter: -1})}
	var tags []string
	for i := range 50 {
		tag := "tag" + strconv.Itoa(i)
		tags = append(tags, tag)
		for _, r := range both {
			if err := r.Set(t.Context(), tag, i, tiered.WithTags(tag)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.InvalidateTags(t.Context(), "another"); err != nil { // Redis knows the script
		t.Fatal(err)
	}
	a.proxy.ResetCounts()
	if err := a.InvalidateTags(t.Context(), tags...); err != nil {
		t.Fatal(err)
	}
	if n := a.proxy.RoundTrips(); n != 1 {
		t.Errorf("%d round trips: %v", n, a.proxy.Commands())
	}
	eventually(t, "all values with one of the tags are gone", func() bool {
		for _, tag := range tags {
			for _, r := range both {
				if _, err := r.Get(t.Context(), tag); !errors.Is(err, tiered.ErrNotFound) {
					return false
				}
			}
		}
		return true
	})
}

// On a Cluster each step of a call for many keys is one round trip to each master.
func TestRoundTripsOnACluster(t *testing.T) {
	redistest.Require(t)
	c := redistest.StartCluster(t, 2, 10*time.Second)
	member := func() (*tiered.Node, *tiered.Region[int], *redistest.Routes) {
		ways := c.Routes(t)
		client := c.Client(t, ways, func(o *redis.ClusterOptions) { o.MaxRedirects = -1 })
		n := open(t, tiered.Options{Redis: client, MaxStaleness: 10 * time.Minute, L2Timeout: patience})
		ready(t, n)
		return n, region(t, n, tiered.Config[int]{Name: "items", Jitter: -1}), ways
	}
	node, r, ways := member()
	_, there, others := member()
	o := newOrigin()
	call := func(names []string, want map[string]int) []struct {
		name  string
		ways  *redistest.Routes
		trips int
		do    func() error
	} {
		return []struct {
			name  string
			ways  *redistest.Routes
			trips int
			do    func() error
		}{
			{"a load", ways, 3, func() error {
				got, err := r.GetOrLoadMany(t.Context(), names, o.loadMany)
				return errors.Join(err, differ(got, want))
			}},
			{"GetMany", others, 1, func() error {
				got, err := there.GetMany(t.Context(), names)
				return errors.Join(err, differ(got, want))
			}},
			{"Delete", ways, 1, func() error { return r.Delete(t.Context(), names...) }},
			{"SetMany", ways, 2, func() error { return r.SetMany(t.Context(), want) }},
			{"InvalidateTags", ways, 1, func() error { return node.InvalidateTags(t.Context(), names...) }},
			{"Clear", ways, 1, func() error { return r.Clear(t.Context()) }},
		}
	}
	// What goes on in the background may come between: then it is measured again.
	var problems []string
	for n := range 5 {
		names := make([]string, 60)
		for i := range names {
			names[i] = fmt.Sprint(n, ":", i)
		}
		problems = nil
		for _, step := range call(names, o.commitAll(names...)) {
			for _, h := range c.Masters {
				step.ways.To(h.Public()).ResetCounts()
			}
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			for i, h := range c.Masters {
				p := step.ways.To(h.Public())
				if got := p.RoundTrips(); got != step.trips {
					problems = append(problems, fmt.Sprintf("%s: %d round trips to master %d, want %d: %v", step.name, got, i, step.trips, p.Commands()))
				}
			}
		}
		if len(problems) == 0 {
			return
		}
	}
	t.Error(strings.Join(problems, "\n"))
}

func differ(got, want map[string]int) error {
	if maps.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("got %v, want %v", got, want)
}
