package oracle_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/oracle"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// invalidated tells of an invalidation of version 3 of key 0.
func (s *story) invalidated(id wire.ID, how wire.Write, at int64) {
	s.t.Helper()
	s.take(id, wire.Batch{Deletes: []wire.Invalidation{{Confirmed: true, How: how, Version: 3, End: s.zero + at}}})
}

func (s *story) saw(id wire.ID, r wire.Read, at int64) {
	s.t.Helper()
	r.Begin, r.End = s.zero+at, s.zero+at+ms
	s.take(id, wire.Batch{Reads: []wire.Read{r}})
}

// Whatever invalidates is binding, and what is missed is counted with it. An
// Expire binds those who say that they have no stale value.
func TestEachInvalidationBinds(t *testing.T) {
	for how := range wire.Writes {
		if how == wire.Orphan {
			continue // nobody reports one
		}
		t.Run(how.String(), func(t *testing.T) {
			s := newStory(t)
			s.invalidated(a, how, 10*ms)
			s.saw(b, wire.Read{Version: 3, Fresh: true, Way: wire.Many}, 20*ms)
			s.saw(a, wire.Read{Version: 2, Fresh: true, Way: wire.Held}, 20*ms) // G1a
			s.saw(b, wire.Read{Version: 2, Fresh: true}, 1020*ms)               // G1b
			s.saw(b, wire.Read{Version: 2, Stale: true}, 1020*ms)               // G1b, but for Expire
			s.saw(b, wire.Read{Version: 2}, 1020*ms)                            // may be stale: so, too
			want := [oracle.Guarantees]int{oracle.OwnDelete: 1, oracle.Bounded: 3}
			if how == wire.Expire {
				want[oracle.Bounded] = 1
			}
			got := s.verdict(1)
			w := &got.Writes[how]
			if got.Violations != want || w.Violations != want {
				t.Errorf("violations %v, of them of %v %v, want %v", got.Violations, how, w.Violations, want)
			}
			if w.Done != 1 || w.Reads != 5 || w.Stale != 1 || w.Staleness != 1010*time.Millisecond {
				t.Errorf("by %v: %+v", how, *w)
			}
			if own := got.Ways[wire.Held].Violations; own != [oracle.Guarantees]int{oracle.OwnDelete: 1} {
				t.Errorf("violations of %v: %v", wire.Held, own)
			}
			if r := &got.Regions[wire.Items]; r.Reads != 5 || r.Violations != want {
				t.Errorf("of the region: %+v", *r)
			}
		})
	}
}

// A Delete after an Expire binds everybody.
func TestDeleteAfterExpire(t *testing.T) {
	s := newStory(t)
	s.take(a, wire.Batch{Deletes: []wire.Invalidation{{Confirmed: true, How: wire.Expire, Version: 2, End: s.zero + 10*ms}}})
	s.deleted(a, 3, 20*ms)
	s.saw(b, wire.Read{Version: 1, Stale: true}, 1030*ms)
	got := s.verdict(1)
	if got.Violations[oracle.Bounded] != 1 || got.Writes[wire.Delete].Violations[oracle.Bounded] != 1 {
		t.Errorf("violations %v", got.Violations)
	}
}

// The baseline has nothing but a deletion for an Expire.
func TestExpireOfTheBaseline(t *testing.T) {
	s := newStory(t)
	s.take(a, wire.Batch{Deletes: []wire.Invalidation{{System: wire.Baseline, Confirmed: true, How: wire.Expire, Version: 3, End: s.zero + 10*ms}}})
	s.saw(b, wire.Read{System: wire.Baseline, Version: 2}, 1020*ms)
	s.verdict(1)
	if got := s.judge.Tally(0, wire.Baseline); got.Violations[oracle.Bounded] != 1 {
		t.Errorf("violations %v", got.Violations)
	}
}

// What a Mutate has committed binds everybody once its tombstone has ended, if
// its process was killed before the invalidation.
func TestTombstones(t *testing.T) {
	const until = 3 * sec
	tests := []struct {
		name   string
		phases []oracle.Phase
		stone  wire.Tombstone // from the commit on
		tell   func(s *story, commit int64)
		want   int // violations of G1b
		done   int // promises
	}{
		{name: "fresh", stone: wire.Tombstone{Sure: until, Ends: until}, done: 1, tell: func(s *story, commit int64) {
			s.saw(b, wire.Read{Version: 4}, commit+until+1001*ms)
		}},
		{name: "old, within the bound", stone: wire.Tombstone{Sure: until, Ends: until}, done: 1, tell: func(s *story, commit int64) {
			s.saw(b, wire.Read{Version: 3}, commit+until+1000*ms)
		}},
		{name: "old, after the bound", stone: wire.Tombstone{Sure: until, Ends: until}, done: 1, want: 1, tell: func(s *story, commit int64) {
			s.saw(b, wire.Read{Version: 3}, commit+until+1001*ms)
		}},
		{name: "no tombstone", tell: func(s *story, commit int64) {
			s.saw(b, wire.Read{Version: 3}, commit+until+1001*ms)
		}},
		{name: "the tombstone had ended before the commit", stone: wire.Tombstone{Since: -4 * sec, Sure: -1 * sec, Ends: until}, tell: func(s *story, commit int64) {
			s.saw(b, wire.Read{Version: 3}, commit+until+1001*ms)
		}},
		{name: "Redis has lost it", stone: wire.Tombstone{Sure: until, Ends: until}, phases: []oracle.Phase{{Name: "well"}, {Name: "lossy", Begins: 1 * sec, Lossy: true}, {Name: "well again", Begins: 2 * sec}},
			tell: func(s *story, commit int64) {
				s.saw(b, wire.Read{Version: 3}, commit+until+1001*ms)
			}},
		{name: "the Mutate went on to its end", stone: wire.Tombstone{Sure: until, Ends: until}, want: 1, tell: func(s *story, commit int64) {
			s.take(a, wire.Batch{Deletes: []wire.Invalidation{{Confirmed: true, How: wire.Mutate, Version: 4, End: s.zero + commit + 1*sec}}})
			s.saw(b, wire.Read{Version: 3}, commit+2001*ms)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t, tt.phases...)
			now := wire.Now()
			if stone := &tt.stone; stone.Ends != 0 {
				stone.Since, stone.Sure, stone.Ends = stone.Since+now, stone.Sure+now, stone.Ends+now
			}
			s.commit(wire.Commit{Keys: []uint32{0}, Tombstone: tt.stone})
			tt.tell(s, now-s.zero)
			got := s.verdict(max(1, len(tt.phases)))
			if n := got.Violations[oracle.Bounded]; n != tt.want || got.Broken() != n {
				t.Errorf("violations %v, want %d of G1b", got.Violations, tt.want)
			}
			if n := got.Writes[wire.Orphan].Done; n != tt.done {
				t.Errorf("%d tombstones have ended on their own, want %d", n, tt.done)
			}
		})
	}
}

// A value may be as old as its life and StaleFor; one that Redis was sent while
// it carries out late what it is sent, as much older as a lease lives.
func TestLife(t *testing.T) {
	const key = 2 // of lives: 2 s and 3 s
	s := newStory(t, oracle.Phase{Name: "well"}, oracle.Phase{Name: "late", Begins: 100 * sec, Late: true}, oracle.Phase{Name: "well", Begins: 110 * sec})
	s.commit(wire.Commit{Keys: []uint32{key}})
	old := func(key uint32, loaded, at int64) int {
		t.Helper()
		_, before := s.life()
		s.saw(b, wire.Read{Key: key, Version: 1, Loaded: s.zero + loaded, Stale: true}, at)
		_, after := s.life()
		return after - before
	}
	for _, tt := range []struct {
		name       string
		key        uint32
		loaded, at int64
		want       int
	}{
		{"within", key, 1 * sec, 6*sec + 400*ms, 0},
		{"beyond", key, 1 * sec, 6*sec + 600*ms, 1},
		{"within a long life", 0, 2 * sec, 7*sec + 600*ms, 0},
		{"late", key, 101 * sec, 106*sec + 600*ms, 0},
		{"loaded late", key, 109 * sec, 114*sec + 600*ms, 0},
		{"too late", key, 109 * sec, 119*sec + 600*ms, 1},
		{"well again", key, 111 * sec, 121*sec + 600*ms, 1},
	} {
		if n := old(tt.key, tt.loaded, tt.at); n != tt.want {
			t.Errorf("%s: %d violations, want %d", tt.name, n, tt.want)
		}
	}
	tally, _ := s.life()
	if got := tally.Regions[wire.Lives]; got.Oldest != 10600*time.Millisecond || got.Violations[oracle.Life] != 3 {
		t.Errorf("of the region: %+v", got)
	}
}

// life judges and returns what there is so far.
func (s *story) life() (all oracle.Tally, violations int) {
	s.judged += sec / 1000
	s.judge.Advance(s.zero + 1000*sec + s.judged)
	for i := range 3 {
		one := s.judge.Tally(i, wire.Doppio)
		all.Add(&one)
	}
	return all, all.Violations[oracle.Life]
}

// An intent explains two loads at once, and only of its keys, and only until it
// has come to its end and what it may have left behind is gone.
func TestIntents(t *testing.T) {
	both := func(s *story, from int64) {
		s.load(a, from+1*ms, from+2*ms, from+200*ms)
		s.load(b, from+9*ms, from+10*ms, from+300*ms)
	}
	tests := []struct {
		name string
		tell func(s *story, intend func(key uint32) uint64, now int64)
		want int
	}{
		{"meanwhile", func(s *story, intend func(uint32) uint64, now int64) {
			intend(1)
			both(s, now)
		}, 0},
		{"of another key", func(s *story, intend func(uint32) uint64, now int64) {
			intend(0)
			both(s, now)
		}, 1},
		{"its tombstone may be there", func(s *story, intend func(uint32) uint64, now int64) {
			s.take(a, wire.Batch{Ended: []uint64{intend(1)}})
			both(s, now+2*sec)
		}, 0},
		{"its tombstone cannot be there any more", func(s *story, intend func(uint32) uint64, now int64) {
			s.take(a, wire.Batch{Ended: []uint64{intend(1)}})
			both(s, now+4*sec)
		}, 1},
		{"told in another order", func(s *story, _ func(uint32) uint64, now int64) {
			s.load(b, now+9*ms, now+10*ms, now+300*ms)
			s.judge.Advance(s.zero + now + 100*ms)
			s.load(a, now+1*ms, now+2*ms, now+200*ms)
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			tt.tell(s, func(key uint32) uint64 {
				number, err := s.judge.Intend([]uint32{key})
				if err != nil {
					t.Fatal(err)
				}
				return number
			}, wire.Now()-s.zero)
			if got := s.verdict(1); got.Violations[oracle.OneLoad] != tt.want {
				t.Errorf("%d violations of G4, want %d", got.Violations[oracle.OneLoad], tt.want)
			}
		})
	}
}

// Reads are counted with what invalidated their key last, however long ago.
func TestLastInvalidationIsRemembered(t *testing.T) {
	s := newStory(t)
	for i, how := range []wire.Write{wire.Delete, wire.Delete, wire.Tags, wire.Clear} {
		s.invalidated(a, how, int64(i)*50*sec)
	}
	s.judge.Advance(s.zero + 145*sec)
	s.saw(b, wire.Read{Version: 3}, 149*sec)
	s.saw(b, wire.Read{Version: 3}, 151*sec)
	got := s.verdict(1)
	if got.Writes[wire.Tags].Reads != 1 || got.Writes[wire.Clear].Reads != 1 {
		t.Errorf("%+v", got.Writes)
	}
}
