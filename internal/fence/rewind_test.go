package fence

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// A stamp that is taken while stripes are being rewritten may hold words of
// both worlds. Nothing made from it is ever valid. The test takes one at each
// step of a rewind.
func TestAStampFromDuringARewindIsNeverValid(t *testing.T) {
	const key = 1 << 32
	table := New(1, time.Minute, 0)
	p := &table.parts[0]
	table.Heard(0, 1000, []uint64{key})

	var stamps []Stamp
	take := func() { stamps = append(stamps, table.Stamp(key)) }
	take()
	p.generation.Add(1) // the steps of rewind
	take()
	_, word := table.of(key)
	word.Store(0)
	take()
	p.floor.Store(10)
	take()
	p.last.Store(10)
	take()
	during := func(when string) {
		t.Helper()
		for n, s := range stamps {
			for _, m := range []Mark{s.Mark(), s.At(10), s.At(1000), s.At(sequenceMask)} {
				if _, ok := table.Valid(&m); ok {
					t.Errorf("%s: a mark from the stamp of step %d is valid", when, n)
				}
			}
			if table.Passes(&s) {
				t.Errorf("%s: the stamp of step %d passes", when, n)
			}
		}
	}
	during("during")
	p.generation.Add(1)
	during("after")

	s := table.Stamp(key)
	if m := s.At(10); !table.Passes(&s) {
		t.Error("a stamp from after it does not pass")
	} else if _, ok := table.Valid(&m); !ok {
		t.Error("a mark from after it is not valid")
	}
}

// Partitions are part of the protocol: every instance must find the same one.
func TestAPartitionIsTheRestOfADivision(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for partitions := 1; partitions <= 256; partitions++ {
		table := New(partitions, time.Second, 0)
		for range 100 {
			hash := r.Uint64()
			want := int(hash % uint64(partitions))
			if got := table.Partition(hash); got != want {
				t.Fatalf("hash %x of %d partitions: got %d, want %d", hash, partitions, got, want)
			}
			if p, _ := table.of(hash); p != &table.parts[want] {
				t.Fatalf("hash %x of %d partitions: the stripe is of another partition", hash, partitions)
			}
		}
	}
}

func TestThereIsAStripeForEachKiB(t *testing.T) {
	for _, partitions := range []int{1, 3, 32, 256} {
		for _, cacheBytes := range []int64{0, 64 << 20, 1 << 30} {
			table := New(partitions, time.Second, cacheBytes)
			stripes := 0
			for i := range table.parts {
				stripes += len(table.parts[i].stripes)
			}
			wanted := max(1<<16, int(cacheBytes>>10))
			if stripes < wanted-partitions || stripes > 2*wanted+partitions {
				t.Errorf("%d partitions, %d bytes: %d stripes, want about %d", partitions, cacheBytes, stripes, wanted)
			}
		}
	}
}

// Keys of a partition spread over all its stripes.
func TestAllStripesAreUsed(t *testing.T) {
	table := New(32, time.Second, 0)
	per := uint64(len(table.parts[0].stripes))
	for p := range uint64(32) {
		seen := make(map[*atomic.Uint64]bool)
		for i := range per {
			part, word := table.of(i<<32 | p)
			if part != &table.parts[(i<<32|p)%32] {
				t.Fatalf("hash %x is in another partition than Partition says", i<<32|p)
			}
			seen[word] = true
		}
		if len(seen) != int(per) {
			t.Errorf("partition %d: %d of %d stripes are used", p, len(seen), per)
		}
	}
}
