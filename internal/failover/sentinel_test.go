package failover_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// behindSentinel connects instances by way of Sentinels.
func behindSentinel(t *testing.T, f *redistest.Failover) func(string) (redis.UniversalClient, *redistest.Routes) {
	return func(string) (redis.UniversalClient, *redistest.Routes) {
		routes := f.Routes(t)
		return f.Client(t, routes), routes
	}
}

// The primary is cut off from its replica, acknowledges Deletes that the
// replica never hears of, and dies. The replica takes over and has the old
// values. What an instance that lives had deleted it deletes again; what one
// that died with the primary had deleted ends within D+R.
func TestFailoverThatLosesDeletes(t *testing.T) {
	t.Parallel()
	s := redistest.StartFailover(t, redistest.FailoverOptions{Replicas: 1, Sentinels: 1, DownAfter: 2 * time.Second})
	old, replica := s.Hosts[0], s.Hosts[1]
	f := newFleet(t, behindSentinel(t, s), "a", "b", "c", "mortal")
	a, b, mortal := f.instances[0], f.instances[1], f.instances[3]
	alive, orphaned, quiet, busy := keysNamed("alive", 8), keysNamed("orphaned", 8), keysNamed("quiet", 8), keysNamed("busy", 24)
	for _, keys := range [][]string{alive, orphaned, quiet, busy} {
		f.warm(t, keys)
	}
	eventually(t, "the replica has everything", func() bool { return replica.InSync(t, old) })

	f.instances = f.instances[:3]
	old.Isolate(true)
	for _, w := range []struct {
		*instance
		keys []string
	}{{a, alive}, {a, quiet}, {mortal, orphaned}} {
		eventually(t, "the primary acknowledges Deletes", func() bool { return w.change(t, w.keys...) == nil })
	}
	_ = mortal.Close()
	read := slices.Concat(alive, orphaned)
	stop := f.load(t, slices.Concat(read, busy), busy, a, b)
	onReplica := replica.Client(t)
	for _, k := range slices.Concat(quiet, orphaned) {
		if onReplica.Exists(t.Context(), valueName(layout(t), k)).Val() != 1 {
			t.Fatalf("the replica has heard of the Delete of %s", k)
		}
	}
	old.Kill()
	from := promoted(t, replica)
	seen := firstSeen(t, replica)

	// Nobody reads the quiet keys: only an invalidation that was sent again
	// removes their values.
	eventually(t, "what a had deleted is deleted again", func() bool {
		for _, k := range quiet {
			if replica.Client(t).Exists(t.Context(), valueName(layout(t), k)).Val() != 0 {
				return false
			}
		}
		return true
	})
	t.Logf("acknowledged invalidations were sent again within %v of the first probe", time.Since(seen).Round(time.Millisecond))

	end := seen.Add(bound + grace)
	passed(end)
	stop()
	settled(t, f.instances...)
	passed(time.Now().Add(bound))
	newestEverywhere(t, f.oracle, slices.Concat(read, quiet, busy), f.instances...)
	allowed := f.oracle.judge(t, func(s staleRead) bool { return s.end.After(from) && s.begin.Before(end) })
	logGrace(t, allowed, seen)
	if len(allowed) == 0 {
		t.Error("no instance has ever read what the new primary did not know to be deleted: nothing was tested")
	}
}

// logGrace says how much of what the guarantee allows after a failover was used.
func logGrace(t *testing.T, allowed []staleRead, seen time.Time) {
	t.Helper()
	longest, by, own := time.Duration(0), make(map[string]int), 0
	for _, s := range allowed {
		longest = max(longest, s.begin.Sub(seen))
		by[s.instance]++
		if s.after.instance == s.instance {
			own++
		}
	}
	t.Logf("the last stale read began %v after the first probe of the new primary (D+R is %v); by instance: %v; after a Delete of its own: %d",
		longest.Round(time.Millisecond), bound+grace, by, own)
}

// A failover that loses nothing costs each instance its L1 once and the values
// in Redis their lives beyond R, and no more: they answer at once, and the new
// primary is distrusted once.
func TestFailoverWithoutLoss(t *testing.T) {
	t.Parallel()
	s := redistest.StartFailover(t, redistest.FailoverOptions{Replicas: 2, Sentinels: 3, DownAfter: 2 * time.Second})
	f := newFleet(t, behindSentinel(t, s), "a", "b", "c")
	keys := keysNamed("k", 40)
	f.warm(t, keys)
	for _, r := range s.Hosts[1:] {
		eventually(t, "the replica has everything", func() bool { return r.InSync(t, s.Hosts[0]) })
	}
	before := make([]tiered.Stats, len(f.instances))
	for n, i := range f.instances {
		before[n] = i.Stats()
	}
	stop := f.load(t, keys, nil)
	s.Switch(t)
	primary := s.AwaitPrimary(t, s.Hosts[0])
	seen := firstSeen(t, primary)
	epochs := epochsOf(t, primary)

	settled(t, f.instances...)
	for _, i := range f.instances {
		eventually(t, "the new primary answers "+i.name, func() bool {
			_, source := i.read(t, keys[0], tiered.BypassL1())
			return source == tiered.SourceL2
		})
	}
	if time.Since(seen) < grace/2-time.Second { // on a machine that is too slow their lives are over
		for _, k := range keys {
			if v, source := f.instances[0].read(t, k, tiered.BypassL1()); v != 1 || source != tiered.SourceL2 {
				t.Errorf("after the failover %s is version %d from %v, want what Redis had", k, v, source)
			}
		}
	}
	for _, k := range keys {
		if left := primary.Client(t).PTTL(t.Context(), valueName(layout(t), k)).Val(); left <= 0 || left > tiered.DefaultTTL {
			t.Errorf("on the new primary %s lives for %v", k, left)
		}
	}
	loads := f.oracle.loaded()
	passed(seen.Add(bound + grace))
	stop()
	settled(t, f.instances...)
	f.oracle.judge(t, nil)
	again := f.oracle.loaded() - loads
	t.Logf("%d keys were loaded %d times once the failover was over", len(keys), again)
	if again > len(f.instances)*len(keys) { // once under a lease, and where the machine was too busy for that, once each
		t.Errorf("%d keys were loaded %d times in the whole fleet after the failover", len(keys), again)
	}
	if now := epochsOf(t, primary); now != epochs {
		t.Errorf("the epochs have changed again, from %v to %v", epochs, now)
	}
	for n, i := range f.instances {
		was, now := before[n].Flushes, i.Stats().Flushes
		if now.Failover-was.Failover != partitions || now.Rewound != was.Rewound || now.Restarted != was.Restarted || now.Overflow != was.Overflow {
			t.Errorf("%s: flushes were %+v, are %+v: want one of each of %d partitions, for the failover", i.name, was, now, partitions)
		}
	}
}

// epochsOf is the epochs of all partitions, as text.
func epochsOf(t *testing.T, h *redistest.Host) (all string) {
	t.Helper()
	c := h.Client(t)
	for p := range partitions {
		all += fmt.Sprintln(c.Get(t.Context(), layout(t).Epoch(p)).Val())
	}
	return all
}
