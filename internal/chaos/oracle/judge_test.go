package oracle_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

const (
	bound = time.Second
	sec   = int64(time.Second)
	ms    = int64(time.Millisecond)
)

var a, b = wire.ID{Instance: 0, Life: 1}, wire.ID{Instance: 1, Life: 1}

// regions have two keys of long lives, and one of a short one.
var regions = wire.Regions{
	wire.Items: {Keys: 2, TTL: time.Hour},
	wire.Lives: {Keys: 1, TTL: 2 * time.Second, StaleFor: 3 * time.Second},
}

// story is what a test tells the oracle. Times are counted from the second
// commit of key 0, which exists in versions 1, 2 and 3; 2 and 3 were committed
// at almost the same time.
type story struct {
	t      *testing.T
	judge  *oracle.Judge
	zero   int64
	judged int64 // how often, so that each time is later
}

func newStory(t *testing.T, phases ...oracle.Phase) *story {
	t.Helper()
	s := &story{t: t, judge: oracle.New(oracle.Options{Regions: regions, Bound: bound, Bucket: 250 * time.Millisecond}, wire.Now())}
	if len(phases) == 0 {
		phases = []oracle.Phase{{Name: "all"}}
	}
	s.zero = wire.Now()
	for _, p := range phases {
		p.Begins += s.zero
		s.judge.Begin(p)
	}
	for range 2 {
		s.commit(wire.Commit{Keys: []uint32{0}})
	}
	return s
}

func (s *story) commit(c wire.Commit) (at int64) {
	s.t.Helper()
	if _, err := s.judge.Commit(&c); err != nil {
		s.t.Fatal(err)
	}
	return wire.Now() - s.zero
}

func (s *story) take(id wire.ID, batch wire.Batch) {
	s.t.Helper()
	batch.ID = id
	if err := s.judge.Take(&batch); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) deleted(id wire.ID, version uint64, at int64) {
	s.t.Helper()
	s.take(id, wire.Batch{Deletes: []wire.Invalidation{{Confirmed: true, Version: version, End: s.zero + at}}})
}

func (s *story) pending(id wire.ID, version uint64, at int64) {
	s.t.Helper()
	s.take(id, wire.Batch{Deletes: []wire.Invalidation{{Pending: true, Version: version, End: s.zero + at}}})
}

func (s *story) read(id wire.ID, version uint64, begin, end int64, source wire.Source, apart ...bool) {
	s.t.Helper()
	r := wire.Read{Version: version, Begin: s.zero + begin, End: s.zero + end, Source: source, Apart: len(apart) > 0}
	s.take(id, wire.Batch{Reads: []wire.Read{r}})
}

func (s *story) load(id wire.ID, lease, begin, end int64) {
	s.t.Helper()
	s.take(id, wire.Batch{Loads: []wire.Load{{Held: true, Key: 1, Lease: s.zero + lease, Begin: s.zero + begin, End: s.zero + end}}})
}

// verdict judges everything and returns what was counted.
func (s *story) verdict(phases int) (t oracle.Tally) {
	s.judge.Advance(s.zero + 1000*sec)
	for i := range phases {
		one := s.judge.Tally(i, wire.Doppio)
		t.Add(&one)
	}
	return t
}

func TestPlantedViolationsAreFound(t *testing.T) {
	tests := []struct {
		name  string
		tell  func(s *story)
		want  [oracle.Guarantees]int
		stale time.Duration
	}{
		{name: "fresh", tell: func(s *story) {
			s.deleted(a, 3, 10*ms)
			s.read(a, 3, 20*ms, 21*ms, wire.Memory)
			s.read(b, 3, 2*sec, 2*sec, wire.Memory)
		}},
		{name: "old within the bound, elsewhere", tell: func(s *story) {
			s.deleted(a, 3, 10*ms)
			s.read(b, 2, 1010*ms, 5*sec, wire.Memory) // its beginning counts, not its end
		}, stale: time.Second},
		{name: "old after the bound, elsewhere", tell: func(s *story) {
			s.deleted(a, 3, 10*ms)
			s.read(b, 2, 1011*ms, 1012*ms, wire.Memory)
		}, want: [oracle.Guarantees]int{oracle.Bounded: 1}, stale: 1001 * time.Millisecond},
		{name: "old after its own Delete", tell: func(s *story) {
			s.deleted(a, 3, 10*ms)
			s.read(a, 2, 11*ms, 12*ms, wire.Memory)
		}, want: [oracle.Guarantees]int{oracle.OwnDelete: 1}, stale: time.Millisecond},
		{name: "old before its own Delete had returned", tell: func(s *story) {
			s.deleted(a, 3, 10*ms)
			s.read(a, 2, 9*ms, 12*ms, wire.Memory)
		}},
		{name: "told of the Delete after the read", tell: func(s *story) {
			s.read(b, 2, 1011*ms, 1012*ms, wire.Memory)
			s.deleted(a, 3, 10*ms)
		}, want: [oracle.Guarantees]int{oracle.Bounded: 1}, stale: 1001 * time.Millisecond},
		{name: "the Delete of a later version covers the one before", tell: func(s *story) {
			s.deleted(a, 3, 10*ms)
			s.read(b, 1, 1011*ms, 1012*ms, wire.Memory)
		}, want: [oracle.Guarantees]int{oracle.Bounded: 1}, stale: 1001 * time.Millisecond},
		{name: "the oldest missing version counts", tell: func(s *story) {
			s.deleted(a, 2, 10*ms)
			s.deleted(a, 3, 900*ms)
			s.read(b, 1, 1011*ms, 1012*ms, wire.Memory)
			s.read(b, 2, 1013*ms, 1014*ms, wire.Memory) // only 3 is missing
		}, want: [oracle.Guarantees]int{oracle.Bounded: 1}, stale: 1001 * time.Millisecond},
		{name: "never deleted", tell: func(s *story) {
			s.read(b, 1, 100*sec, 101*sec, wire.Memory)
		}},
		{name: "a pending Delete binds its own instance only", tell: func(s *story) {
			s.pending(a, 3, 10*ms)
			s.read(a, 2, 11*ms, 12*ms, wire.Memory)
			s.read(b, 2, 50*sec, 51*sec, wire.Memory)
		}, want: [oracle.Guarantees]int{oracle.OwnDelete: 1}},
		{name: "a pending Delete that was confirmed later binds all from then on", tell: func(s *story) {
			s.pending(a, 3, 10*ms)
			s.deleted(a, 3, 5*sec)
			s.read(b, 2, 5900*ms, 5901*ms, wire.Memory)
			s.read(b, 2, 6001*ms, 6002*ms, wire.Memory)
		}, want: [oracle.Guarantees]int{oracle.Bounded: 1}, stale: 1001 * time.Millisecond},
		{name: "going back", tell: func(s *story) {
			s.read(b, 3, 1*ms, 2*ms, wire.Memory)
			s.read(b, 2, 3*ms, 4*ms, wire.Shared)
		}, want: [oracle.Guarantees]int{oracle.Monotonic: 1}},
		{name: "going back, told in another order", tell: func(s *story) {
			s.read(b, 2, 3*ms, 4*ms, wire.Shared)
			s.read(b, 3, 1*ms, 2*ms, wire.Memory)
		}, want: [oracle.Guarantees]int{oracle.Monotonic: 1}},
		{name: "two reads at once may be answered in any order", tell: func(s *story) {
			s.read(b, 3, 1*ms, 3*ms, wire.Memory)
			s.read(b, 2, 2*ms, 4*ms, wire.Shared)
		}},
		{name: "another instance may be behind", tell: func(s *story) {
			s.read(b, 3, 1*ms, 2*ms, wire.Memory)
			s.read(a, 2, 3*ms, 4*ms, wire.Shared)
		}},
		{name: "what the origin answered, or was loaded without Redis, binds nobody", tell: func(s *story) {
			s.read(b, 3, 1*ms, 2*ms, wire.Origin)
			s.read(b, 3, 1*ms, 2*ms, wire.Unknown)
			s.read(b, 3, 1*ms, 2*ms, wire.Memory, true)
			s.read(b, 2, 3*ms, 4*ms, wire.Shared)
		}},
		{name: "two loads at once", tell: func(s *story) {
			s.load(a, 1*ms, 2*ms, 20*ms)
			s.load(b, 9*ms, 10*ms, 30*ms)
		}, want: [oracle.Guarantees]int{oracle.OneLoad: 1}},
		{name: "two loads, one after the other", tell: func(s *story) {
			s.load(a, 1*ms, 2*ms, 10*ms)
			s.load(b, 9*ms, 10*ms, 30*ms)
		}},
		{name: "a second load after the lease has ended", tell: func(s *story) {
			s.load(a, 1*ms, 2*ms, 20*sec)
			s.load(b, 5*sec, 5*sec+2*ms, 6*sec)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			tt.tell(s)
			got := s.verdict(1)
			if got.Violations != tt.want {
				t.Errorf("violations of G1a, G1b, G3, G4, life: %v, want %v; first: %v", got.Violations, tt.want, s.judge.Violations(wire.Doppio))
			}
			if tt.stale != 0 && got.Staleness != tt.stale {
				t.Errorf("worst staleness %v, want %v", got.Staleness, tt.stale)
			}
			if n := len(s.judge.Violations(wire.Doppio)); n != got.Broken() {
				t.Errorf("%d violations are told of, want %d", n, got.Broken())
			}
		})
	}
}

// A Delete ends leases: a second load that begins after it is no violation,
// one of another key is.
func TestDeleteBetweenLoads(t *testing.T) {
	s := newStory(t)
	from := s.commit(wire.Commit{Keys: []uint32{1}})
	s.take(a, wire.Batch{Deletes: []wire.Invalidation{{Confirmed: true, Key: 1, Version: 2, End: s.zero + from + 5*ms}}})
	s.load(a, from+1*ms, from+2*ms, from+20*ms)
	s.load(b, from+9*ms, from+10*ms, from+30*ms) // the Delete may have come between
	if got := s.verdict(1); got.Broken() != 0 {
		t.Errorf("violations: %v", s.judge.Violations(wire.Doppio))
	}
	s = newStory(t)
	s.load(a, 6*ms, 7*ms, 20*ms)
	s.load(b, 9*ms, 10*ms, 30*ms)
	s.deleted(a, 3, 8*ms) // of key 0
	if got := s.verdict(1); got.Violations[oracle.OneLoad] != 1 {
		t.Error("a Delete of another key has excused two loads")
	}
}

// What a guarantee excepts is counted apart, and only there.
func TestExcuses(t *testing.T) {
	s := newStory(t,
		oracle.Phase{Name: "lossy", Lossy: true},
		oracle.Phase{Name: "late", Begins: 1 * sec, Late: true},
		oracle.Phase{Name: "well", Begins: 2 * sec})
	for _, at := range []int64{0, 1 * sec, 2 * sec} {
		s.read(b, 3, at+1*ms, at+2*ms, wire.Memory)
		s.read(b, 2, at+3*ms, at+4*ms, wire.Memory)
		s.load(a, at+1*ms, at+2*ms, at+20*ms)
		s.load(b, at+9*ms, at+10*ms, at+30*ms)
	}
	s.judge.Advance(s.zero + 1000*sec)
	for i, want := range []struct{ order, loads int }{{0, 0}, {1, 0}, {1, 1}} {
		got := s.judge.Tally(i, wire.Doppio)
		if got.Violations[oracle.Monotonic] != want.order || got.Excused[oracle.Monotonic] != 1-want.order {
			t.Errorf("phase %d: G3 %d, excused %d", i, got.Violations[oracle.Monotonic], got.Excused[oracle.Monotonic])
		}
		if got.Violations[oracle.OneLoad] != want.loads || got.Excused[oracle.OneLoad] != 1-want.loads {
			t.Errorf("phase %d: G4 %d, excused %d", i, got.Violations[oracle.OneLoad], got.Excused[oracle.OneLoad])
		}
	}
}

// What was read while Redis lost data binds nobody afterwards.
func TestOrderBeginsAnewAfterLoss(t *testing.T) {
	s := newStory(t, oracle.Phase{Name: "lossy", Lossy: true}, oracle.Phase{Name: "well", Begins: 1 * sec})
	s.read(b, 3, 1*ms, 2*ms, wire.Memory)
	s.read(b, 2, 1*sec+1*ms, 1*sec+2*ms, wire.Memory)
	if got := s.verdict(2); got.Broken() != 0 {
		t.Errorf("violations: %v", s.judge.Violations(wire.Doppio))
	}
}

// Judging in steps comes to the same as judging at once.
func TestSteps(t *testing.T) {
	s := newStory(t)
	s.read(b, 3, 1*ms, 8*ms, wire.Memory)
	s.read(b, 3, 2*ms, 3*ms, wire.Memory)
	s.judge.Advance(s.zero + 5*ms)
	s.read(b, 2, 6*ms, 7*ms, wire.Memory)
	s.judge.Advance(s.zero + 10*ms)
	s.judge.Advance(s.zero + 4*ms) // going back changes nothing
	if got := s.verdict(1); got.Violations[oracle.Monotonic] != 1 || got.Reads != 3 {
		t.Errorf("%d reads, violations %v", got.Reads, got.Violations)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	s := newStory(t)
	for name, batch := range map[string]wire.Batch{
		"a version that was never committed": {Reads: []wire.Read{{Version: 4}}},
		"no version":                         {Reads: []wire.Read{{Version: 0}}},
		"a Delete of the future":             {Deletes: []wire.Invalidation{{Version: 4}}},
		"no such key":                        {Loads: []wire.Load{{Key: 3}}},
	} {
		if err := s.judge.Take(&batch); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	none := []uint32{0, 3}
	if _, err := s.judge.Commit(&wire.Commit{Keys: none}); err == nil {
		t.Error("commit of a key that is none")
	}
	if _, err := s.judge.Versions(none); err == nil {
		t.Error("version of a key that is none")
	}
	if _, err := s.judge.Intend(none); err == nil {
		t.Error("intent about a key that is none")
	}
}

func TestTimeline(t *testing.T) {
	s := newStory(t)
	s.deleted(a, 3, 0)
	s.read(b, 2, 100*ms, 101*ms, wire.Memory)
	s.read(b, 2, 700*ms, 701*ms, wire.Memory)
	s.judge.Advance(s.zero + 1*sec)
	worst := time.Duration(0)
	for _, p := range s.judge.Timeline(wire.Doppio) {
		worst = max(worst, p.Staleness)
	}
	if worst != 700*time.Millisecond {
		t.Errorf("worst point %v, want 700ms", worst)
	}
	if len(s.judge.Timeline(wire.Baseline)) != 0 {
		t.Error("the baseline has not read anything")
	}
}
