package model

// Rules about tags and clearing; see [Rule].
const (
	// TagInvalidationCounts: InvalidateTags takes the next number of the sequence of the tag's partition.
	TagInvalidationCounts Rule = iota + coreRules
	// TagInvalidationIsWritten: and writes it down as the tag's.
	TagInvalidationIsWritten
	// MissingTagIsInvalidated: a tag that Redis does not know counts as invalidated now.
	MissingTagIsInvalidated
	// MissingTagIsWritten: and that is written down.
	MissingTagIsWritten
	// TagGoesWithSequence: a tag that is asked for where the sequence is lost counts as invalidated.
	TagGoesWithSequence

	// SnapshotBeforeLoad: what a load is known to include is noted before it begins.
	SnapshotBeforeLoad
	// SnapshotSeesVoidings: a mark made from it is void if a stripe was voided since.
	SnapshotSeesVoidings
	// StoreNeedsTagGeneration: what was loaded in another generation of the tag's partition is not stored.
	StoreNeedsTagGeneration
	// StoreNeedsTagLease: nor is it while the tag's partition has no live lease.
	StoreNeedsTagLease
	// PendingTagIsNotStored: nor while an invalidation of the tag is queued.
	PendingTagIsNotStored
	// UnstorableIsDetached: what is not stored because of its tag lives for the bound in L1.
	UnstorableIsDetached

	// CopyNeedsTagLease: a copy is served only while the tag's mark or the lease of its partition is within the bound.
	CopyNeedsTagLease
	// TagStripeVoids: a copy whose tag has a mark below the tag's stripe is void.
	TagStripeVoids
	// TagFloorVoids: or below the floor of the tag's partition.
	TagFloorVoids
	// TagGenerationVoids: or of another generation of it.
	TagGenerationVoids

	// KnownTagNeedsLease: an instance says by itself that a tag was not invalidated only under a live lease.
	KnownTagNeedsLease
	// KnownTagPassesStripe: and only if the value's stamp is not below the stripe.
	KnownTagPassesStripe
	// KnownTagPassesFloor: nor below the floor.
	KnownTagPassesFloor
	// KnownTagWasHeard: nor above all that was heard.
	KnownTagWasHeard
	// KnownTagIsConfirmed: and not from before the stripes were emptied, until a probe sent after that has confirmed the partition.
	KnownTagIsConfirmed
	// KnownTagIsAsOldAsLease: what it says so is as old as the lease.
	KnownTagIsAsOldAsLease
	// AskedTagIsCompared: of a tag that was asked for, the number must not be above the value's stamp.
	AskedTagIsCompared
	// AskedTagIncludesStamp: and the sequence not below it.
	AskedTagIncludesStamp
	// AskedTagNeedsLease: nor is the answer used where the partition has no live lease.
	AskedTagNeedsLease
	// TagStampBeforeAsk: the stamp for the answer is taken before Redis is asked.
	TagStampBeforeAsk
	// TagMarkBeforePending: a tag's mark or stamp is taken before the question whether an invalidation of it is pending.
	TagMarkBeforePending
	// PendingTagIsNotAccepted: while it is, a value from Redis is not used.
	PendingTagIsNotAccepted
	// KnownTagPassesAfterPending: what an instance has said by itself, or has been told before it asked that, still holds after it has asked.
	KnownTagPassesAfterPending
	// EpochEndsTagged: a value with a stamp from before a failover of the tag's partition dies with the grace.
	EpochEndsTagged
	// LifeAfterTagMark: what is left of a value's life is worked out after its tag's mark or stamp was taken.
	LifeAfterTagMark
	// LeaderChecksTags: who leads a flight discards what it brought if its tag was invalidated meanwhile.
	LeaderChecksTags
	// JoinChecksTags: so does who joins it.
	JoinChecksTags
	// JoinNeedsTagLease: also if the bound has passed for the tag's mark.
	JoinNeedsTagLease

	// UntagRaisesStripe: InvalidateTags raises its own stripe before it returns.
	UntagRaisesStripe

	// ClearCounts: a Clear takes the next number of the sequence.
	ClearCounts
	// ClearIsWritten: and writes it down as the region's.
	ClearIsWritten
	// BelowClearIsMiss: a value whose lease was granted before that is a miss.
	BelowClearIsMiss
	// BelowClearIsRefused: and is not stored.
	BelowClearIsRefused
	// ClearRaisesFloor: a Clear raises its own floor before it returns.
	ClearRaisesFloor
	// UnknownClearVoids: a Clear of unknown outcome voids all copies of the partition here.
	UnknownClearVoids
	// WholeMessageRaisesFloor: a message that names no key voids all older copies of the partition.
	WholeMessageRaisesFloor

	// FullQueueWidens: a tag for which the retry queue has no room gives way to its whole partition, and is not forgotten.
	FullQueueWidens
	// FullQueueVoids: and the whole partition is voided here.
	FullQueueVoids
	// WidePends: while a partition is queued, an invalidation of each of its tags is pending.
	WidePends
	// WideTagsAreWritten: the invalidation of all tags of a partition is written down.
	WideTagsAreWritten
	// WideRaisesTagFloor: and raises the floor here before it leaves the queue.
	WideRaisesTagFloor
	// SingleTagsStay: single tags stay in the queue when a region of their partition is confirmed.
	SingleTagsStay
	// UnnumberedHidesTags: after an invalidation that was confirmed with a number of another generation, an instance says nothing of a tag by itself until a probe sent after that has confirmed the partition.
	UnnumberedHidesTags

	afterTagRules
)

var tagRuleNames = [afterTagRules - coreRules]string{
	"TagInvalidationCounts", "TagInvalidationIsWritten", "MissingTagIsInvalidated", "MissingTagIsWritten", "TagGoesWithSequence",
	"SnapshotBeforeLoad", "SnapshotSeesVoidings", "StoreNeedsTagGeneration", "StoreNeedsTagLease", "PendingTagIsNotStored",
	"UnstorableIsDetached", "CopyNeedsTagLease", "TagStripeVoids", "TagFloorVoids", "TagGenerationVoids",
	"KnownTagNeedsLease", "KnownTagPassesStripe", "KnownTagPassesFloor", "KnownTagWasHeard", "KnownTagIsConfirmed",
	"KnownTagIsAsOldAsLease", "AskedTagIsCompared", "AskedTagIncludesStamp", "AskedTagNeedsLease", "TagStampBeforeAsk", "TagMarkBeforePending",
	"PendingTagIsNotAccepted", "KnownTagPassesAfterPending", "EpochEndsTagged", "LifeAfterTagMark", "LeaderChecksTags", "JoinChecksTags", "JoinNeedsTagLease", "UntagRaisesStripe",
	"ClearCounts", "ClearIsWritten", "BelowClearIsMiss", "BelowClearIsRefused", "ClearRaisesFloor", "UnknownClearVoids",
	"WholeMessageRaisesFloor",
	"FullQueueWidens", "FullQueueVoids", "WidePends", "WideTagsAreWritten", "WideRaisesTagFloor", "SingleTagsStay", "UnnumberedHidesTags",
}
