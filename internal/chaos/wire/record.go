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

// Way is how a read was made.
type Way uint8

// Ways to read. The baseline has the first only: what the others would read it
// reads key by key.
const (
	Single Way = iota // GetOrLoad
	Many              // one of the keys of a GetOrLoadMany
	Held              // one of the keys of a GetMany: from the tiers, or not at all
	Ways              // how many there are
)

func (w Way) String() string { return [...]string{"GetOrLoad", "GetOrLoadMany", "GetMany"}[w] }

// Write is how what was cached of a key was invalidated after a commit.
type Write uint8

// Ways to invalidate. The baseline deletes each key, but for Set.
const (
	Delete     Write = iota // of one key
	DeleteMany              // of several in one call
	Tags                    // InvalidateTags
	Clear                   // of the region
	Set                     // SetMany
	Mutate                  // the commit is in the middle of it
	Orphan                  // Mutate, up to the commit: what invalidates is the end of the tombstone
	Expire                  // ends lives; old values may be served as stale ones
	Writes                  // how many there are
)

func (w Write) String() string {
	return [...]string{"Delete", "Delete of several", "InvalidateTags", "Clear", "SetMany", "Mutate", "Mutate cut off by SIGKILL", "Expire"}[w]
}

// Read is one read that has ended.
type Read struct {
	System  System
	Source  Source
	Way     Way
	Apart   bool // the value was loaded without Redis, or Redis has not confirmed that it has it
	Fresh   bool // the read asked, and the value is not a stale one
	Stale   bool // the read asked, and the value's life is over
	Key     uint32
	Version uint64
	Loaded  int64 // when the value was loaded, or set
	Begin   int64
	End     int64
}

// Tiers reports whether the value is known to have come from the tiers: from
// Redis, or from memory where it lies beside Redis's.
func (r *Read) Tiers() bool { return (r.Source == Memory || r.Source == Shared) && !r.Apart }

// Invalidation is one that followed the commit of Version, or what became of
// one that was pending.
type Invalidation struct {
	System    System
	How       Write
	Confirmed bool // it returned nil at End; or a pending one was found confirmed then
	Pending   bool // it returned at End and says that it will be repeated until it succeeds
	Key       uint32
	Version   uint64
	End       int64
}

// Load is one key of a call of the origin.
type Load struct {
	System System
	Held   bool // under a lease; where only some of the keys of a load have theirs, false for all; all loads of the baseline count as such
	Many   bool // with other keys
	Key    uint32
	Lease  int64 // when the lease was asked for
	Begin  int64
	End    int64
}

// Tombstone is what protects a commit in the middle of a Mutate.
type Tombstone struct {
	Since int64 // before it was placed
	Sure  int64 // until then it is there, if Redis does not lose it
	Ends  int64 // from then on it is not, if nobody takes it away before; 0: there is none
}

// Commit asks for a new version of each of the keys.
type Commit struct {
	Keys      []uint32
	Tombstone Tombstone // of the Mutate that it is in the middle of
}

// Sample is an instance's state at a moment.
type Sample struct {
	At        int64
	Degraded  bool
	LeaseAge  int64 // ns; negative: none yet
	Pending   int   // invalidations that Redis has not confirmed
	Hits      [Systems]uint64
	Misses    [Systems]uint64
	Errors    [Systems]uint64 // reads that failed, other than by absence
	Stale     uint64          // calls of Doppio's that were answered with a value past its life
	Refreshes uint64          // loads of Doppio's ahead of time
}
