package model

// Kind is what a reader does.
type Kind uint8

// Kinds of readers.
const (
	None      Kind = iota // there is no such reader
	Get                   // asks the tiers
	GetOrLoad             // and then the origin
	Force                 // the origin at once
	Ahead                 // refreshes what is there, in the background
	Ask                   // the tiers, and then the origin whether what there was is unchanged
	AskStale              // the same, and is given what is past its life if the load fails
	AskBypass             // the same past L1
	AskForce              // asks the origin at once
	AskAhead              // refreshes what is there, and asks
)

//go:norace
func (k Kind) asks() bool { return k >= Ask }

//go:norace
func (k Kind) forces() bool { return k == Force || k == AskForce }

//go:norace
func (k Kind) ahead() bool { return k == Ahead || k == AskAhead }

// servesStale reports whether a caller takes a value past its life.
//
//go:norace
func (k Kind) servesStale() bool { return k == GetOrLoad || k == AskStale }

// pastL1 reports whether a caller does not look at L1.
//
//go:norace
func (k Kind) pastL1() bool { return k.forces() || k == AskBypass }

// shares reports whether flights of two kinds may be joined by callers of the other.
//
//go:norace
func (k Kind) shares(with Kind) bool {
	loads := func(k Kind) bool { return k == GetOrLoad || k == Ask || k == AskStale }
	return k == with || loads(k) && loads(with)
}

// Scenario is a configuration of the model: who there is, and what happens.
type Scenario struct {
	Name string
	Doc  string // what it is for

	Instances int
	Kinds     [maxInstances][maxReaders]Kind
	Ops       [maxInstances][]Op // of each instance's writer, in order
	Serial    bool               // writers wait for each other
	Bound     uint8              // the bound on staleness, in ticks

	Ticks      bool // time passes
	Timely     bool // but never so much that a lease ends
	Probes     [maxInstances]bool
	Deaf       bool // no message is ever heard
	Warm       bool // Redis holds a value at the beginning
	Ended      bool // whose life is over
	Monotone   bool // G3 is looked at; it is not promised where Redis evicts or forces happen
	Replicated bool // there is a replica, which may fall behind
	Behind     bool // and never catches up
	Runs       bool // run ids are known
	Straggles  bool // of an instance that is left behind only reads go to the old primary, and not all
	Forgetful  bool // instances do not remember what they have invalidated
	Releases   bool // leases that are given up are released

	Stale   bool // values are kept beyond their lives
	Failing bool // no load succeeds
	Weak    bool // two versions have the same validator
	Copies  bool // a load ahead of time begins with a copy in L1, and not with what Redis has
	Lagging bool // loads may read what was there before the last commits
	Lasting bool // tombstones do not end by themselves

	SlowFlights bool  // others come between the steps of a flight that only its instance sees
	SlowAcks    bool  // and before a confirmation is taken in where nobody reads
	SlowProbes  bool  // and between noting the time of a probe and running it
	FineReads   bool  // a look at L1 takes four steps
	FineStamps  bool  // a stamp takes two
	FineHears   bool  // a message takes two
	FineRewinds bool  // a rewind takes three
	Unlocked    bool  // messages and probes do not wait for each other
	Begun       uint8 // the sequence's first number. Defaults to 1
	RewindFrom  uint8 // the sequence goes back from this number at least
	Unheard     bool  // also if not everybody has heard it
	RecordStays bool  // and the partition's epoch does not go with it

	Tagged   bool  // the value has a tag, in another partition
	TagBegun uint8 // first number of that one's sequence. Defaults to 1
	Batch    bool  // reads ask for the tags of all their values at once
	Vouched  bool  // the key's partition is confirmed all the time, whatever was heard

	Budget Budget
}

// pair is two readers of a kind, one is one.
func pair(k Kind) [maxReaders]Kind { return [maxReaders]Kind{k, k} }
func one(k Kind) [maxReaders]Kind  { return [maxReaders]Kind{k} }

// AsBuilt are the rules that the code follows.
func AsBuilt() Rules {
	return RulesOf(AllRules()...).Without(DeleteVoids)
}
