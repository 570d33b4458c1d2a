package model

import "strconv"

// Rule is something that the protocol does for a reason.
type Rule uint8

// Rules of the scripts in Redis.
const (
	// InvalidateRemovesValue: an invalidation removes the value from Redis.
	InvalidateRemovesValue Rule = iota
	// InvalidateRemovesLease: an invalidation removes the key lease, so that what was loaded before is refused.
	InvalidateRemovesLease
	// InvalidateCounts: an invalidation takes the next number of the sequence.
	InvalidateCounts
	// GrantIsExclusive: a lease is granted only where there is none.
	GrantIsExclusive
	// ReleaseComparesToken: only a lease's holder can give it up.
	ReleaseComparesToken
	// FillNeedsLease: a missing lease is never permission to fill.
	FillNeedsLease
	// FillComparesToken: a fill needs the lease with its own token.
	FillComparesToken
	// FillComparesSequence: a fill needs the lease with the sequence of its own grant.
	FillComparesSequence
	// FillCountsReplacing: a fill that replaces a value counts like an invalidation.
	FillCountsReplacing
	// BeginInvalidates: Set invalidates before it fills.
	BeginInvalidates
	// LostSequenceGrows: a lost sequence comes back larger than it was.
	LostSequenceGrows

	// Rules of a read.

	// CopyNeedsLease: a copy is served only while the partition's lease or the copy itself is within the bound.
	CopyNeedsLease
	// LeaseBeforeFences: in Valid, the lease is loaded before the fences.
	LeaseBeforeFences
	// GenerationLast: in Valid, the generation is loaded after the fences.
	GenerationLast
	// StripeVoids: a copy older than its stripe is void.
	StripeVoids
	// FloorVoids: a copy older than the floor is void.
	FloorVoids
	// GenerationVoids: a copy of another generation is void.
	GenerationVoids
	// StampReadsGenerationFirst: a stamp loads the generation before the fences.
	StampReadsGenerationFirst
	// StampBeforeRead: the stamp is taken before the first step of what it stamps.
	StampBeforeRead
	// StampBeforePending: a reader takes its stamp before it asks whether an invalidation is pending.
	StampBeforePending
	// JoinChecksFences: who joins an older flight discards what it brings if something was heard meanwhile.
	JoinChecksFences
	// JoinNeedsLease: who joins an older flight discards what it brings if the bound has passed unconfirmed.
	JoinNeedsLease
	// JoinLeaseBeforeFences: and looks at the lease first.
	JoinLeaseBeforeFences
	// UnsharedLoadsAgeForJoiners: where the origin lags behind, who joins a load whose value no shared tier has taken discards it if it began more than the bound ago.
	UnsharedLoadsAgeForJoiners
	// JoinJudgesCopy: and judges what that took from L1 by its own mark.
	JoinJudgesCopy
	// LoadAfterGrant: the origin is read after the lease was granted.
	LoadAfterGrant
	// RejectedLoadIsNotKept: what a load brought is not cached if its fill was refused.
	RejectedLoadIsNotKept
	// RejectedSetIsNotKept: nor is the value of a Set.
	RejectedSetIsNotKept
	// SetStampsBeforeBegin: a Set takes its stamp before it begins.
	SetStampsBeforeBegin
	// MetFlightsRaise: a flight that met another in the air raises the stripe to what it read.
	MetFlightsRaise
	// UnkeptReadsRaise: a read whose value L1 does not keep raises the stripe to what it read.
	UnkeptReadsRaise
	// ReadIsAsOldAsLease: a copy that was only read from Redis is as old as the lease of its partition.
	ReadIsAsOldAsLease
	// ReadMustBeValid: and is used only if it is valid as a copy at that moment.
	ReadMustBeValid
	// BehindIsNotUsed: nor if it is older than what was known here before it was read, however often it was read again.
	BehindIsNotUsed
	// FormerIsReadAgain: what was read in a former generation is read again, however often it was.
	FormerIsReadAgain
	// DetachedEnds: a copy that was made without Redis lives for the bound, whatever the lease says.
	DetachedEnds

	// Rules of the subscriber and the prober.

	// MessageRaisesStripe: a message voids the older copies of its key.
	MessageRaisesStripe
	// GapRaisesFloor: a message after a missing one voids everything older.
	GapRaisesFloor
	// StripeBeforeLast: a message raises the stripe before last.
	StripeBeforeLast
	// ProbeNotesTimeFirst: the time of a probe is noted before it is sent.
	ProbeNotesTimeFirst
	// ProbeWaitsForMessages: a lease is granted only where last has reached the sequence, or the floor makes up for it.
	ProbeWaitsForMessages
	// FloorBeforeLease: the probe raises the floor before it renews the lease.
	FloorBeforeLease
	// RewoundVoids: an answer below what was heard before the probe voids everything.
	RewoundVoids
	// RewriteIsOdd: stripes are rewritten only while the generation is odd.
	RewriteIsOdd
	// OddIsNoGeneration: no stamp carries an odd generation.
	OddIsNoGeneration
	// ProbeWrites: a probe writes, so that a primary that refuses writes grants no lease.
	ProbeWrites
	// EpochMovesSequence: the first probe of a new primary moves the sequence above all that there was.
	EpochMovesSequence
	// EpochEndsValues: values from before a failover die with the grace.
	EpochEndsValues
	// EpochVoids: an instance that hears of a new primary voids all its copies and reads under way.
	EpochVoids
	// EpochIsNamed: an epoch that was lost and made anew is another one, also at the same number.
	EpochIsNamed
	// RunRestarts: numbers of two primaries are not compared, however the epoch has moved the sequence.
	RunRestarts
	// AcknowledgedIsReplayed: an instance sends its invalidations again to a new primary.
	AcknowledgedIsReplayed

	// Rules of tombstones, and of an origin that lags behind.

	// BlockRemovesLease: a tombstone's script removes the key lease.
	BlockRemovesLease
	// BlockCounts: and takes the next number of the sequence.
	BlockCounts
	// LeaseRespectsTombstone: where there is a tombstone, no lease is granted.
	LeaseRespectsTombstone
	// FillRespectsTombstone: nor is anything filled.
	FillRespectsTombstone
	// BlockedLoadIsNotKept: what was loaded because a tombstone blocked the key is kept nowhere.
	BlockedLoadIsNotKept
	// BlockedBeginGrantsNothing: a Set that finds a tombstone leaves no lease.
	BlockedBeginGrantsNothing
	// DeleteLeavesTombstone: an invalidation leaves others' tombstones.
	DeleteLeavesTombstone
	// SetLeavesTombstone: and so does a Set.
	SetLeavesTombstone
	// UnblockComparesToken: a Mutate takes away its own tombstone only.
	UnblockComparesToken
	// MetTombstonesAreShared: a tombstone that another Mutate finds becomes nobody's.
	MetTombstonesAreShared
	// TombstonesNeverShorten: a tombstone never ends earlier because another one comes.
	TombstonesNeverShorten
	// WriteEndsBeforeTombstone: a write must have ended some time before its tombstone does.
	WriteEndsBeforeTombstone
	// FailedWriteInvalidates: a Mutate invalidates also if its write fails.
	FailedWriteInvalidates
	// LagLeavesTombstone: where the origin lags behind, an invalidation leaves a tombstone for so long.
	LagLeavesTombstone
	// TombstoneOutlivesLag: and a Mutate's tombstone lives for so much longer than its write.
	TombstoneOutlivesLag
	// PendingLagIsNotKept: and what is loaded while an invalidation is queued is not kept, since the tombstone is still to come.
	PendingLagIsNotKept
	// LaggingSetLeavesTombstone: a Set leaves a tombstone for so long, under which its fill alone is accepted.
	LaggingSetLeavesTombstone
	// LaggingFillLeavesLease: and its fill a lease that is nobody's, for what is left of that.
	LaggingFillLeavesLease

	// Rules of values past their lives.

	// ExpireRemovesLease: an Expire removes the key lease, so that what was loaded before does not live on.
	ExpireRemovesLease
	// ExpireEndsLife: and ends the value's life.
	ExpireEndsLife
	// ExpireCounts: and takes the next number of the sequence.
	ExpireCounts
	// StaleMustBeValid: a copy in L1 past its life is judged like any other.
	StaleMustBeValid
	// HeldIsJudged: and so is one that the caller has read from Redis, when it is served.
	HeldIsJudged
	// HeldIsOwn: one that another caller has read is not served.
	HeldIsOwn
	// HeldIsBarred: nor one that was made before the bar.
	HeldIsBarred
	// StaleAsksPending: while an invalidation is queued, nothing past its life is served.
	StaleAsksPending
	// StaleAsksPendingFirst: that is asked before the copy is judged.
	StaleAsksPendingFirst
	// UnsharedLoadsBar: a load whose value no shared tier has taken bars all that was made before.
	UnsharedLoadsBar
	// OutlivedBars: and so does a value that L1 does not keep, but another one.
	OutlivedBars
	// HeldRaises: a value past its life that was read from Redis raises the stripe to what was read.
	HeldRaises
	// HeldStampsAnew: whoever has read it has a new stamp for what it does next.
	HeldStampsAnew
	// HeldAsksPendingAgain: and asks again, after that, whether an invalidation is pending.
	HeldAsksPendingAgain
	// EpochEndsStale: values from before a failover are not served past the grace, as stale ones neither.
	EpochEndsStale
	// AheadTakesLease: a load ahead of its time is one under the key lease.
	AheadTakesLease
	// AheadRefusesItsOwn: and refuses only the value that it is to replace, not a newer one.
	AheadRefusesItsOwn
	// AheadIsInTheAir: and counts among the flights of the key that are in the air.
	AheadIsInTheAir

	// Rules of loads that ask whether a value is unchanged.

	// RenewalNeedsLease: a renewal needs the lease of its load, like a fill.
	RenewalNeedsLease
	// RenewalNeedsValue: and the value that was asked about; it is not stored again from a copy.
	RenewalNeedsValue
	// RenewalEndsWithEpoch: and that value must not be from before a failover.
	RenewalEndsWithEpoch
	// UnchangedIsVouched: nobody asks about what may have been invalidated, as far as was heard.
	UnchangedIsVouched
	// FormerIsNotAsked: nor about what Redis has from before a failover.
	FormerIsNotAsked
	// FormerCopyIsNotAsked: nor about a copy of that.
	FormerCopyIsNotAsked
	// UnchangedIsNoNewer: an unchanged value that Redis does not renew includes no invalidation that it did not include.
	UnchangedIsNoNewer
	// UnchangedIsNoYounger: and is as old as what was heard when it was vouched for.
	UnchangedIsNoYounger
	// JoinJudgesUnchanged: who joins the flight judges the value that was asked about, like a copy.
	JoinJudgesUnchanged

	// Rules of a writer and of the retry queue.

	// DeleteRaisesStripe: a writer raises its own stripe before it returns.
	DeleteRaisesStripe
	// NumbersNeedGeneration: a number that was asked for in an earlier generation voids without entering the stripe.
	NumbersNeedGeneration
	// OldNumberRestarts: an invalidation whose number is not above what was heard voids everything here.
	OldNumberRestarts
	// UnknownIsQueued: an invalidation of unknown outcome is queued.
	UnknownIsQueued
	// UnknownVoids: and voids this instance's copies and flights of the key.
	UnknownVoids
	// QueueBeforeVoid: it is queued before it voids.
	QueueBeforeVoid
	// PendingReadsNoRedis: while it is queued, Redis is not read for the key.
	PendingReadsNoRedis
	// PendingFillsNoRedis: while it is queued, Redis is not filled for the key.
	PendingFillsNoRedis
	// RetryRaisesBeforeLeaving: a confirmed retry raises the stripe before it leaves the queue.
	RetryRaisesBeforeLeaving
	// ReaddedStays: what was queued again during an attempt stays.
	ReaddedStays

	// Rules that are redundant in the model; see [Mutants] for why they are there.

	// LocalDeleteForgets: a writer lets go of its flights.
	LocalDeleteForgets
	// NewerStays: of two copies L1 keeps the newer.
	NewerStays
	// LeaderChecksFences: who leads a flight discards what it brought if something was heard meanwhile.
	LeaderChecksFences
	// ProbeNotesLastFirst: what was heard is noted before the probe is sent.
	ProbeNotesLastFirst
	// LeaseMovesForward: a late answer does not shorten the lease.
	LeaseMovesForward
	// RestartVoids: a probe that had to create the sequence voids everything and grants no lease.
	RestartVoids

	// A rule that the code does not follow; see [Holes] for why.

	// DeleteVoids: a writer voids its copies and flights of the key whatever number it got.
	DeleteVoids

	coreRules
)

// ruleCount is the number of all rules; those about tags, about losses, and some about
// loads that ask are in files of their own.
const ruleCount = afterAskRules

var ruleNames = [coreRules]string{
	"InvalidateRemovesValue", "InvalidateRemovesLease", "InvalidateCounts", "GrantIsExclusive", "ReleaseComparesToken",
	"FillNeedsLease", "FillComparesToken", "FillComparesSequence", "FillCountsReplacing", "BeginInvalidates", "LostSequenceGrows",
	"CopyNeedsLease", "LeaseBeforeFences", "GenerationLast", "StripeVoids", "FloorVoids", "GenerationVoids",
	"StampReadsGenerationFirst", "StampBeforeRead", "StampBeforePending", "JoinChecksFences", "JoinNeedsLease",
	"JoinLeaseBeforeFences", "UnsharedLoadsAgeForJoiners", "JoinJudgesCopy", "LoadAfterGrant", "RejectedLoadIsNotKept", "RejectedSetIsNotKept", "SetStampsBeforeBegin",
	"MetFlightsRaise", "UnkeptReadsRaise", "ReadIsAsOldAsLease", "ReadMustBeValid", "BehindIsNotUsed",
	"FormerIsReadAgain", "DetachedEnds",
	"MessageRaisesStripe", "GapRaisesFloor", "StripeBeforeLast", "ProbeNotesTimeFirst", "ProbeWaitsForMessages",
	"FloorBeforeLease", "RewoundVoids", "RewriteIsOdd", "OddIsNoGeneration", "ProbeWrites", "EpochMovesSequence",
	"EpochEndsValues", "EpochVoids", "EpochIsNamed", "RunRestarts", "AcknowledgedIsReplayed",
	"BlockRemovesLease", "BlockCounts", "LeaseRespectsTombstone", "FillRespectsTombstone", "BlockedLoadIsNotKept",
	"BlockedBeginGrantsNothing", "DeleteLeavesTombstone",
	"SetLeavesTombstone", "UnblockComparesToken", "MetTombstonesAreShared", "TombstonesNeverShorten", "WriteEndsBeforeTombstone",
	"FailedWriteInvalidates", "LagLeavesTombstone", "TombstoneOutlivesLag", "PendingLagIsNotKept",
	"LaggingSetLeavesTombstone", "LaggingFillLeavesLease",
	"ExpireRemovesLease", "ExpireEndsLife", "ExpireCounts", "StaleMustBeValid", "HeldIsJudged", "HeldIsOwn", "HeldIsBarred",
	"StaleAsksPending", "StaleAsksPendingFirst", "UnsharedLoadsBar", "OutlivedBars", "HeldRaises",
	"HeldStampsAnew", "HeldAsksPendingAgain", "EpochEndsStale",
	"AheadTakesLease", "AheadRefusesItsOwn", "AheadIsInTheAir",
	"RenewalNeedsLease", "RenewalNeedsValue", "RenewalEndsWithEpoch", "UnchangedIsVouched", "FormerIsNotAsked", "FormerCopyIsNotAsked",
	"UnchangedIsNoNewer", "UnchangedIsNoYounger", "JoinJudgesUnchanged",
	"DeleteRaisesStripe", "NumbersNeedGeneration", "OldNumberRestarts", "UnknownIsQueued", "UnknownVoids", "QueueBeforeVoid", "PendingReadsNoRedis",
	"PendingFillsNoRedis", "RetryRaisesBeforeLeaving", "ReaddedStays",
	"LocalDeleteForgets", "NewerStays", "LeaderChecksFences", "ProbeNotesLastFirst", "LeaseMovesForward", "RestartVoids",
	"DeleteVoids",
}

// String returns the name of the rule.
func (r Rule) String() string {
	switch {
	case r < coreRules:
		return ruleNames[r]
	case r < afterTagRules:
		return tagRuleNames[r-coreRules]
	case r < afterLostRules:
		return lostRuleNames[r-afterTagRules]
	case r < afterAskRules:
		return askRuleNames[r-afterLostRules]
	}
	return "Rule(" + strconv.Itoa(int(r)) + ")"
}

// AllRules returns every rule that there is.
func AllRules() []Rule {
	all := make([]Rule, ruleCount)
	for i := range all {
		all[i] = Rule(i) //nolint:gosec // fewer than 256
	}
	return all
}

// Rules is a set of rules. The zero Rules is empty.
type Rules [(ruleCount + 63) / 64]uint64

// RulesOf returns the set of the given rules.
func RulesOf(rules ...Rule) Rules { return Rules{}.With(rules...) }

// With returns the set with more rules.
func (s Rules) With(rules ...Rule) Rules {
	for _, r := range rules {
		s[r/64] |= 1 << (r % 64)
	}
	return s
}

// Without returns the set with fewer rules.
func (s Rules) Without(rules ...Rule) Rules {
	for _, r := range rules {
		s[r/64] &^= 1 << (r % 64)
	}
	return s
}

// Has reports whether the rule is in the set.
//
//go:norace
func (s *Rules) Has(r Rule) bool { return s[r/64]>>(r%64)&1 == 1 }
