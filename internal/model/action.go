package model

// pc is where a process stands: the step that it does next.
type pc uint8

const (
	idle pc = iota

	// A reader looks at L1. With [Scenario].FineReads in four steps; which of
	// them looks at what is order's.
	look1
	look2
	look3
	look4
	begin       // missed; takes off, or joins a flight
	stampFences // has the generation, reads the fences
	askPending
	getSent
	getDone
	leaseSent
	loading
	loaded
	fillSent
	detach // loads without Redis
	keep
	land
	landed // accepts by the fences
	waiting
	joined // accepts by the lease
	staleAsk
	staleTake
	due    // for a load ahead of its time
	asks   // decides what its load may ask about
	beside // loads without a lease
	unkept // does not keep in L1 what Redis has renewed, because of its tag

	// A writer.
	deleteSent
	deleteDone
	deleteForget
	unknown // queues and voids, in two steps
	unknownForget
	setFill
	blockSent
	blockDone
	mutates
	unblockSent

	// A prober.
	probeSent
	probeDone
	probeSettle
	probeLease

	// A subscriber.
	hearFirst
	hearSecond

	// The retry queue.
	retrySent
	retryDone
	retryLeave

	// A reader, a writer that invalidates the tag, and one that clears.
	snapping
	tagJudge
	tagPending
	tagSent
	tagAnswer
	tagNote
	untagSent
	untagDone
	untagUnknown
	clearSent
	clearDone
	clearUnknown
)

// Action is one step.
type Action struct {
	Kind     ActionKind
	Instance uint8
	Reader   uint8
	Arg      uint8
}

// ActionKind is what a step does.
type ActionKind uint8

// Kinds of steps.
const (
	Start ActionKind = iota
	Tick

	// Of a reader.
	Arrive
	Look
	TakeOff
	Join
	ReadFences
	AskPending
	RunGet
	GiveUpGet
	TakeValue
	RunLease
	GiveUpLease
	Load
	TryFill
	RunFill
	GiveUpFill
	LoadAlone
	FailLoad
	Vouch
	RunRenew
	Hit
	ServeStale
	Keep
	KeepNot
	Land
	Accept

	// Of a writer.
	Commit
	RunDelete
	GiveUpDelete
	RaiseOwn
	Return
	Enqueue
	VoidOwn
	RunSetFill
	GiveUpSetFill
	StartMutate
	RunBlock
	GiveUpBlock
	CommitUnder
	RunUnblock
	GiveUpUnblock
	Crash

	// Of a prober, a subscriber and the retry queue.
	StartProbe
	RunProbe
	TakeAnswer
	Settle
	Grant
	Hear
	HearMore
	Rewrite
	Retry
	RunRetry
	GiveUpRetry
	RaiseRetried
	LeaveQueue
	FailDelete
	EvictCopy

	// Of nobody.
	InvalidateOther
	RunLate
	Repeat
	ExpireLease
	EndLife
	EndCopyLife
	ExpireTombstone
	LoseTombstone
	CatchUp
	EvictValue
	StoreForeign
	LoseSequence
	Flush
	Rewind
	Replicate
	Failover
	Isolate
	Rejoin
	Stop

	// About the tag, of a reader, of an instance and of nobody.
	TakeSnapshot
	MarkTag
	AskTagPending
	RunTags
	GiveUpTags
	Overflow
	Sweep
	RunSweep
	EndSweep
	FailSweep
	VoidTags
	RunUntag
	RaiseTag
	StartTagProbe
	RunTagProbe
	TakeTagAnswer
	SettleTag
	HearTag
	CountTag
	EvictTag
	LoseTagSequence
	FlushTag
	RewindTag
	ReplicateTag
	FailTagOver

	// Of a writer that clears.
	RunClear
	RaiseFloor

	actionKinds
)

var actionTexts = [actionKinds]string{
	"start", "D/ticks pass",
	"a read begins", "looks on at L1", "takes off, stamped", "joins the other reader's flight", "its stamp reads the fences",
	"asks whether an invalidation is pending", "MGET runs", "gives up MGET", "takes the reply of MGET",
	"get-or-lease runs", "gives up get-or-lease", "loads", "is about to fill", "fill runs", "gives up fill", "loads without Redis",
	"cannot load", "decides what its load may ask about", "the renewal runs", "hits a value that is due for a refresh", "looks for a value past its life",
	"puts its value into L1", "L1 does not keep its value", "lands", "decides whether to accept",
	"commits, then sends the invalidation", "the invalidation runs", "gives up the invalidation", "raises its own stripe",
	"returns", "queues the invalidation", "voids its own stripe", "the fill of Set runs", "gives up the fill of Set",
	"begins a Mutate, sends the tombstone", "the tombstone is placed", "gives up the tombstone", "commits, then sends the last invalidation",
	"the last invalidation runs", "gives up the last invalidation", "dies",
	"notes time and last, sends a probe", "the probe runs", "takes the answer of the probe", "raises the floor",
	"grants the lease", "hears a message", "hears on", "rewrites its stripes", "sends a queued invalidation",
	"the queued invalidation runs", "gives up the queued invalidation", "raises the stripe to the confirmed retry", "takes it out of the queue",
	"commits; its Delete fails and is queued", "evicts the copy from L1",
	"somebody invalidates another key", "a late request runs", "a request will run twice", "the key lease ends", "the life of the value ends", "a copy's life ends", "the tombstone ends", "Redis evicts the tombstone", "loads read a newer version", "Redis evicts the value", "another version of the service stores a value of its own",
	"Redis loses the sequence", "FLUSHALL", "Redis goes back to the replica's data", "the replica catches up", "the replica comes to power",
	"is cut off with the old primary", "speaks to the new primary again", "stops",

	TakeSnapshot: "takes a snapshot for its load", MarkTag: "judges the tag by itself, or by the answer",
	AskTagPending: "asks whether an invalidation of the tag is pending", RunTags: "asks Redis for the tag", GiveUpTags: "gives up asking for the tag",
	Overflow: "finds the queue full, queues the tag's partition", Sweep: "sends a Clear of another region", RunSweep: "the Clear of another region runs in the tag's partition",
	EndSweep: "raises the floor of the tag's partition, returns", FailSweep: "queues the tag's partition for a Clear of another region", VoidTags: "voids the tag's partition",
	RunUntag: "InvalidateTags runs", RaiseTag: "raises its own stripe of the tag, returns",
	StartTagProbe: "notes time and last of the tag's partition, sends a probe", RunTagProbe: "the probe of the tag's partition runs",
	TakeTagAnswer: "takes the answer about the tag's partition", SettleTag: "raises the floor of the tag's partition, then its lease",
	HearTag: "hears a message about the tag's partition", CountTag: "somebody invalidates another tag",
	EvictTag: "Redis forgets the tag", LoseTagSequence: "the tag's partition loses its sequence", FlushTag: "the tag's partition loses everything",
	RewindTag:    "the tag's partition loses everything, and begins anew at 1",
	ReplicateTag: "the replica of the tag's partition catches up", FailTagOver: "the replica of the tag's partition comes to power",
	RunClear: "Clear runs", RaiseFloor: "raises its own floor, returns",
}
