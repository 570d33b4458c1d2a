package model

// Sizes of a state. What a scenario does not use stays zero.
const (
	maxInstances = 3
	maxReaders   = 2 // of one instance
	maxVersions  = 4 // of the key, the first one included
	maxLate      = 3
)

// State is everything that there is: Redis, the origin, the instances and what
// is under way between them. It is comparable, and small numbers only.
//
// There is one partition and one key. Versions of the key's value are numbered
// from 1, in the order of their commits; 0 is no value. Sequences begin at 1; 0
// is a lost one.
//
// Times are ages: how many ticks ago something happened, up to a limit above
// which no rule tells them apart. So the clock is never part of a state, and
// may run for ever.
type State struct {
	Origin   uint8 // version that is committed
	Redis    redis
	Replica  redis // what a failover would bring to power
	Old      redis // what an isolated primary still shows
	Late     [maxLate]call
	Acks     [maxVersions]ack // of the versions' invalidations, by version-1
	Left     Budget
	Messages messages
	Whole    uint16   // bit s: invalidation s was of the whole partition
	Tag      tagRedis // the partition of the value's tag
	Life     lives    // of values that are kept beyond it
	Guard    guard    // tombstones, and an origin that lags behind
	Instance [maxInstances]instance
}

// redis is a primary.
type redis struct {
	Seq, Top   uint8 // sequence, and the highest that there ever was
	Ver        uint8 // value
	VTok, VSeq uint8 // its fill token and the sequence in its header
	LTok, LSeq uint8 // lease of the key: token and sequence at the grant
	Run        uint8 // run id
	ERun, ESeq uint8 // the partition's epoch: run id, and sequence at which it began
	EId        uint8 // what tells it from earlier ones
	EAge       uint8 // ticks since the epoch began
	Clear      uint8 // T:c:<region>
	VTag       uint8 // stamp of the value's tag
	Over       uint8 // the value's life has ended
	Barred     uint8 // bit i: the value was made before the bar of instance i
	Foreign    uint8 // the value is of another version of the service
}

// call is a request that runs late: its caller has given it up, or it is a
// second run of one that was answered.
type call struct {
	Kind  callKind
	Token uint8
	Seq   uint8
	Ver   uint8
	Stamp uint8 // of the tag; of a renewal: it is announced
	Of    uint8 // token of the value that is to be renewed
}

type callKind uint8

const (
	noCall callKind = iota
	callLease
	callFill
	callInvalidate
	callBegin
	callRelease
	callTags
	callUntag
	callClear
	callBlock
	callUnblock
	callExpire
	callRenew
	callWhole
)

// ack says that the invalidation of a version was confirmed to its writer.
type ack struct {
	Who   uint8 // instance+1; 0: not confirmed
	Age   uint8
	Queue uint8 // instance+1 that has queued it instead
	Soft  uint8 // it was an Expire
	Lossy uint8 // it was before a failover that may have lost it
}

// mark is what a copy carries. Generation and voidings are kept as whether they
// are still the present ones: both only grow, so that no more can be asked.
type mark struct {
	Gen      uint8 // 1: of the present generation
	Void     uint8 // 1: the stripe has not been voided since
	AsOf     uint8 // sequence that it includes; 0: no mark
	T0       uint8 // age
	Detached uint8
	Barred   uint8 // it is of before the bar for values past their lives
}

// position is how far an instance had heard when it sent an invalidation.
type position struct {
	Gen  uint8 // as in mark
	Last uint8
}

// stamp is what is noted before the first step of a read or load.
type stamp struct {
	Gen, Void    uint8 // as in mark
	Fence, Floor uint8 // the floor not below the fence; 0: no stamp
	T0           uint8 // age
	Barred       uint8 // as in mark
}

// entry is the copy of the key in L1.
type entry struct {
	Ver    uint8
	Doomed uint8 // it ends with the grace after a failover
	Over   uint8 // its life has ended
	Tok    uint8 // fill token of the value in Redis, where that matters: see keepsToken
	Out    uint8 // a newer value was to take its place: nobody asks about it
	Mark   mark
	Tag    tagMark
}

type instance struct {
	Down     uint8 // it has stopped
	Isolated uint8 // it speaks to the old primary

	Stripe, Floor, Last uint8
	Lease               uint8 // age
	Barred              uint8 // the lease is of before the bar
	Odd                 uint8 // step of a rewrite of the stripes; the generation is odd

	Entry entry
	Seen  uint8 // the highest version that a tier has answered with

	Run, Epoch uint8 // what the prober knows: run id, sequence at which its epoch began
	EId        uint8 // and which epoch that is
	Acked      uint8 // the key's invalidation is among those to be replayed

	Probe   prober
	Hear    hearing
	Queue   queue
	Writer  writer
	Readers [maxReaders]reader
	Tag     tagView
}

type prober struct {
	PC        pc
	T0        uint8 // age
	Before    uint8
	Seq       uint8
	Created   uint8
	Run, ESeq uint8
	Epoch     uint8
	Barred    uint8 // its time is before the bar
}

// hearing is a message that is being applied.
type hearing struct {
	PC  pc
	Seq uint8
	Key uint8 // 1: it concerns the key
}

// queue is the retry queue, as far as it concerns the key.
type queue struct {
	Queued  uint8
	Readded uint8 // since the attempt began
	PC      pc
	Seq     uint8
	Since   position // from before the attempt
	Ver     uint8    // of a Delete that is being queued
	Whole   uint8    // a Clear is among them
	Former  uint8    // the attempt was made with a primary that was replaced since
}

type writer struct {
	PC     pc
	Op     uint8 // operations begun so far
	Ver    uint8
	Since  position // from before the invalidation
	Seq    uint8
	Token  uint8
	Queue  uint8 // 1: it has been queued, the voiding follows
	Former uint8 // the invalidation ran on a primary that was replaced since
	Stamp  stamp
	Mark   mark
	Tag    tagMark
}

// reader is a caller, and the flight that it leads.
type reader struct {
	PC       pc
	Attempt  uint8
	Nil      uint8 // no older version may be returned: a Delete on this instance was confirmed
	Pending  uint8 // the same: a Delete on this instance was queued
	Bound    uint8 // the same: a Delete was confirmed more than the bound ago
	Mono     uint8 // the same, of a tier: one has answered with it before
	Own      uint8 // the awaited flight began after the caller came
	Fresh    uint8 // the other reader's flight began after the caller came
	Air      uint8 // its flight is in the air
	Met      uint8 // and has met another one there
	Forgot   uint8 // nobody may join it
	Asked    uint8 // whether an invalidation was pending, if asked too early
	Stamp    stamp
	Token    uint8 // of its key lease
	Refuse   uint8 // token of a value that will not do
	LeaseSeq uint8
	Leased   uint8 // its lease lives (for G4)
	Seq      uint8 // of a reply
	VTok     uint8
	VSeq     uint8
	Ver      uint8 // what it brings, or looks at
	Tier     uint8 // a tier holds it
	Local    uint8 // the flight took it from L1
	Doomed   uint8
	Mark     mark
	Tag      tagReader
	Past     past // what it knows of values past their lives
	Ask      asked
	Foreign  uint8 // what it looks at is of another version of the service
	Kept     uint8 // fill token of what it brings, where that matters
}

// Budget is how often something may happen that must have a limit.
type Budget struct {
	Others     uint8 // invalidations of another key of the partition
	Timeouts   uint8 // calls that are given up
	Repeats    uint8 // calls that run twice
	Evictions  uint8 // of the value
	Expiries   uint8 // of the key lease, or its eviction
	Losses     uint8 // of the sequence alone
	Flushes    uint8 // FLUSHALL
	Rewinds    uint8 // restores of the replica's data under the same run id
	Tombstones uint8 // of which one is evicted alone
	Failovers  uint8
	Isolates   uint8
	Stops      uint8 // of an instance
	Drops      uint8 // copies that L1 does not keep, or evicts
	Failing    uint8 // Deletes by other callers that never reach Redis
	Forces     uint8 // forced loads
	Absences   uint8 // reads that find Redis out of reach
	Tag        TagBudget
	Lives      uint8 // of values, or copies, that end while they are kept
	Aheads     uint8 // loads ahead of their time
	Crashes    uint8 // of a process in the middle of a Mutate
	Foreigns   uint8 // values that another version of the service stores
}

// messages are the announcements that were published, by sequence. One that
// was published may be heard by any instance at any time, any number of times,
// or never: that is loss, delay, reordering and duplication at once.
type messages struct {
	Key   uint16 // bit s: invalidation s of the key
	Other uint16 // of another key of the partition
}

// alive reports whether the instance exists and runs.
//
//go:norace
func (in *instance) alive() bool { return in.Down == 0 }

// clear makes a finished reader like one that never was.
//
//go:norace
func (r *reader) clear() { *r = reader{} }

// fresh returns the smallest token that occurs nowhere.
//
//go:norace
func (s *State) fresh() uint8 {
	used := uint32(1)
	mark := func(tokens ...uint8) {
		for _, t := range tokens {
			used |= 1 << t
		}
	}
	for _, r := range [...]*redis{&s.Redis, &s.Replica, &s.Old} {
		mark(r.VTok, r.LTok)
	}
	for i := range s.Late {
		mark(s.Late[i].Token, s.Late[i].Of)
	}
	for i := range s.Instance {
		in := &s.Instance[i]
		mark(in.Writer.Token, in.Entry.Tok)
		for j := range in.Readers {
			r := &in.Readers[j]
			mark(r.Token, r.Refuse, r.VTok, r.Ask.VTok, r.Kept)
		}
	}
	mark(s.Guard.Tomb.Owner, s.Guard.Copy.Tomb.Owner)
	t := uint8(0)
	for used&(1<<t) != 0 {
		t++
	}
	return t
}
