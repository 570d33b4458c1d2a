package wire

import "time"

// Kind says what a region is there for.
type Kind uint8

// The kinds of regions. A run of the former mix has items only.
const (
	Items   Kind = iota // long lives; deleted, by key and by tag, and mutated
	Lives               // short lives that slide, are refreshed ahead of time, and are served stale
	Cleared             // small, and cleared as a whole at times
	Owned               // set; the keys of an owner are changed by that instance alone, in order
	Kinds               // how many there are
)

func (k Kind) String() string { return [...]string{"items", "lives", "cleared", "owned"}[k] }

// Region is a range of keys, and for how long their values live.
type Region struct {
	Keys uint32

	TTL         time.Duration
	SlidingTTL  time.Duration
	StaleFor    time.Duration
	SoftTimeout time.Duration
	Refresh     float64 // Config.RefreshAhead
}

// Regions are those of a run, by [Kind]. The keys of each begin where those of
// the one before end.
type Regions []Region

// First is the first key of a region.
func (r Regions) First(k Kind) (key uint32) {
	for _, before := range r[:k] {
		key += before.Keys
	}
	return key
}

// Keys is how many there are in all.
func (r Regions) Keys() uint32 { return r.First(Kind(len(r))) }

// Of is the kind of a key's region. There must be such a key.
func (r Regions) Of(key uint32) (k Kind) {
	for key >= r[k].Keys {
		key -= r[k].Keys
		k++
	}
	return k
}

// WriteTimeout is the library's for Mutate.
const WriteTimeout = time.Second

// TombstoneLife is how long a tombstone lives that nobody takes away, as
// docs/writes.md says.
const TombstoneLife = WriteTimeout + 2*time.Second
