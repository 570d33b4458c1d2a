package wire

// System is one of the two caches that are compared.
type System uint8

// The systems.
const (
	Doppio System = iota
	Baseline
	Systems // how many there are
)

func (s System) String() string {
	if s == Doppio {
		return "Doppio"
	}
	return "baseline"
}

// Source says where a read found its value.
type Source uint8

// Sources of a value.
const (
	Unknown Source = iota // the read did not ask, as most callers do not
	Memory
	Shared // Redis
	Origin
)

// Read is one read that has ended.
type Read struct {
	System  System
	Source  Source
	Apart   bool // the value was loaded without Redis, or Redis has not confirmed that it has it
	Key     uint32
	Version uint64
	Begin   int64
	End     int64
}

// Tiers reports whether the value is known to have come from the tiers: from
// Redis, or from memory where it lies beside Redis's.
func (r *Read) Tiers() bool { return (r.Source == Memory || r.Source == Shared) && !r.Apart }

// Delete is an invalidation that followed the commit of Version, or what
// became of one that was pending.
type Delete struct {
	System    System
	Confirmed bool // it returned nil at End; or a pending one was found confirmed then
	Pending   bool // it returned at End and says that it will be repeated until it succeeds
	Key       uint32
	Version   uint64
	End       int64
}

// Load is one call of the origin.
type Load struct {
	System System
	Held   bool // under a lease, as far as the instance can tell; all loads of the baseline count as such
	Key    uint32
	Lease  int64 // when the lease was asked for
	Begin  int64
	End    int64
}

// Sample is an instance's state at a moment.
type Sample struct {
	At       int64
	Degraded bool
	LeaseAge int64 // ns; negative: none yet
	Pending  int   // invalidations that Redis has not confirmed
	Hits     [Systems]uint64
	Misses   [Systems]uint64
	Errors   [Systems]uint64 // reads that failed, other than by absence
}
