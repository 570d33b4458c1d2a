package model

// tagMissed are rules about tags and clearing whose absence breaks something.
func tagMissed() []Mutant {
	return []Mutant{
		{Rule: TagInvalidationCounts, Scenario: "tag bound", Broken: G2},
		{Rule: TagInvalidationIsWritten, Scenario: "tag bound", Broken: G2},
		{Rule: MissingTagIsInvalidated, Scenario: "tag lost and loads", Broken: G2},

		{Rule: SnapshotBeforeLoad, Scenario: "tag queue and loads", Broken: G2},
		{Rule: SnapshotSeesVoidings, Scenario: "tag queue and loads", Broken: G1aPending},

		{Rule: CopyNeedsTagLease, Scenario: "tag bound", Broken: G1b},
		{Rule: TagStripeVoids, Scenario: "tag fills", Broken: G1a},
		{Rule: TagFloorVoids, Scenario: "tag bound", Broken: G1b},
		{Rule: TagGenerationVoids, Scenario: "tag rewind", Broken: G1a},

		{Rule: KnownTagNeedsLease, Scenario: "tag bound", Broken: G1b},
		{Rule: KnownTagPassesStripe, Also: []Rule{KnownTagPassesAfterPending}, Scenario: "tag fills", Broken: G1a},
		{Rule: KnownTagPassesFloor, Also: []Rule{KnownTagPassesAfterPending}, Scenario: "tag bound", Broken: G1b},
		{Rule: KnownTagWasHeard, Scenario: "tag rewind", Broken: G1a},
		{Rule: KnownTagIsConfirmed, Scenario: "tag rewind", Broken: G1a},
		{Rule: KnownTagIsAsOldAsLease, Scenario: "tag bound", Broken: G1b},
		{Rule: AskedTagIsCompared, Scenario: "tag fills", Broken: G1a},
		{Rule: AskedTagIncludesStamp, Scenario: "tag rewind", Broken: G1a},
		{Rule: TagStampBeforeAsk, Scenario: "tag asked", Broken: G1aPending},
		{Rule: TagMarkBeforePending, Scenario: "tag queue", Broken: G1aPending},
		{Rule: PendingTagIsNotAccepted, Scenario: "tag late", Broken: G1aPending},
		{Rule: AskedTagNeedsLease, Scenario: "tag unprobed", Broken: G1b},
		{Rule: EpochEndsTagged, Scenario: "tag failover", Broken: G1b},
		{Rule: LifeAfterTagMark, Scenario: "tag failover", Broken: G1b},
		{Rule: KnownTagPassesAfterPending, Scenario: "tag exhausted", Broken: G1aPending},
		// Of a key nothing breaks: who finds it not pending any more reads Redis after that,
		// where the value is gone. Of a tag it is the stripe that must tell.
		{Rule: RetryRaisesBeforeLeaving, Scenario: "tag asked", Broken: G1aPending},
		{Rule: LeaderChecksTags, Also: []Rule{KnownTagPassesAfterPending}, Scenario: "tag queue", Broken: G1aPending},
		{Rule: JoinChecksTags, Scenario: "tag joins", Broken: G1a},
		{Rule: JoinNeedsTagLease, Scenario: "tag joins late", Broken: G1b},
		{Rule: UntagRaisesStripe, Scenario: "tag fills", Broken: G1a},

		{Rule: FullQueueWidens, Scenario: "tag overflow", Broken: G1aPending},
		{Rule: WidePends, Scenario: "tag overflow", Broken: G1aPending},
		{Rule: WideTagsAreWritten, Scenario: "tag overflow", Broken: G1aPending},
		{Rule: WideRaisesTagFloor, Scenario: "tag overflow", Broken: G1aPending},
		{Rule: SingleTagsStay, Scenario: "tag pending and cleared", Broken: G1aPending},
		{Rule: UnnumberedHidesTags, Scenario: "tag and clears", Broken: G1a},

		{Rule: ClearCounts, Scenario: "clear bound", Broken: G2},
		{Rule: ClearIsWritten, Scenario: "clear", Broken: G2},
		{Rule: BelowClearIsMiss, Scenario: "clear", Broken: G2},
		{Rule: BelowClearIsRefused, Scenario: "clear", Broken: G1a},
		{Rule: ClearRaisesFloor, Scenario: "clear", Broken: G1a},
		{Rule: UnknownClearVoids, Scenario: "clear late", Broken: G1aPending},
		{Rule: WholeMessageRaisesFloor, Scenario: "clear bound", Broken: G1b},
	}
}

// tagRedundant are the others.
func tagRedundant() []Mutant {
	return []Mutant{
		{Rule: MissingTagIsWritten, Scenario: "tag lost and loads", Redundant: "who asks for a tag that is not there is refused, each time: " +
			"written down, what is loaded from then on is known to be newer"},
		{Rule: TagGoesWithSequence, Scenario: "tag lost and loads", Redundant: "a sequence that comes back larger leaves the tag's number what it was, " +
			"and each invalidation since has been written down; it is as careful with tags as with values"},
		{Rule: StoreNeedsTagGeneration, Scenario: "tag rewind and loads", Redundant: "a stamp of a lost sequence is above what was heard, " +
			"and above the number that Redis answers with, for as long as the new sequence has not counted up to it; that it does, while the value lives, takes a clock that is set back just so far"},
		{Rule: StoreNeedsTagLease, Scenario: "tag rewind and loads", Redundant: "the same: without a lease it is not known that the sequence is still the one of the snapshot"},
		{Rule: PendingTagIsNotStored, Scenario: "tag queue and loads", Redundant: "the stamp of such a value is below the number that the queued invalidation gets, " +
			"and until then none was confirmed that it is older than; it spares other instances an old value"},
		{Rule: FullQueueVoids, Scenario: "tag overflow", Redundant: "each tag that gives way was voided when it was queued, and so is the one for which there is no room"},
		{Rule: UnstorableIsDetached, Scenario: "tag queue and loads", Redundant: "its marks say what it includes, as those of any copy; " +
			"it bounds what this instance has and no other can see"},
	}
}
