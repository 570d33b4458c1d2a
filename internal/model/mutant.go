package model

import "slices"

// Mutant says what the absence of a rule breaks.
type Mutant struct {
	Rule     Rule
	Also     []Rule   // left out with it, because it would make up for it
	Scenario string   // in which of the scenarios; "" if in none
	Broken   Property // what

	// Redundant says why nothing breaks, for a rule that is there for other
	// reasons.
	Redundant string
}

// Mutants lists all rules. Those of [Holes] are left out there as the code
// leaves them out.
func Mutants() []Mutant {
	return slices.Concat(missed(), missedByWrites(), missedByLosses(), missedByLives(), missedByAsking(), missedByAskingMore(), redundant(), tagMissed(), tagRedundant())
}

// missed are the rules whose absence breaks something.
func missed() []Mutant {
	return []Mutant{
		{Rule: InvalidateRemovesValue, Scenario: "bound", Broken: G2},
		{Rule: InvalidateRemovesLease, Scenario: "fills", Broken: G2},
		{Rule: InvalidateCounts, Scenario: "bound", Broken: G1b},
		{Rule: GrantIsExclusive, Scenario: "fills", Broken: G4},
		{Rule: ReleaseComparesToken, Scenario: "leases", Broken: G4},
		{Rule: FillNeedsLease, Scenario: "fills", Broken: G2},
		{Rule: FillComparesToken, Scenario: "fills", Broken: G2},
		{Rule: FillComparesSequence, Scenario: "twice", Broken: G2},
		{Rule: FillCountsReplacing, Scenario: "forced", Broken: G3},
		{Rule: BeginInvalidates, Scenario: "set", Broken: G1a},
		{Rule: LostSequenceGrows, Scenario: "flush", Broken: G1b},

		{Rule: CopyNeedsLease, Scenario: "bound", Broken: G1b},
		{Rule: LeaseBeforeFences, Scenario: "steps", Broken: G1b},
		{Rule: GenerationLast, Scenario: "rewind steps", Broken: G1b},
		{Rule: StripeVoids, Scenario: "bound", Broken: G1b},
		{Rule: FloorVoids, Scenario: "bound", Broken: G1b},
		{Rule: GenerationVoids, Scenario: "own rewind", Broken: G1a},
		{Rule: StampReadsGenerationFirst, Scenario: "rewind joins", Broken: G1b},
		{Rule: StampBeforeRead, Scenario: "rewind", Broken: G1b},
		{Rule: StampBeforePending, Scenario: "queue", Broken: G1aPending},
		{Rule: JoinChecksFences, Scenario: "joins", Broken: G1b},
		{Rule: JoinNeedsLease, Scenario: "joins and loads", Broken: G1b},
		{Rule: JoinLeaseBeforeFences, Scenario: "joins and loads", Broken: G1b},
		{Rule: JoinJudgesCopy, Scenario: "regained", Broken: G1b},
		{Rule: LoadAfterGrant, Scenario: "fills", Broken: G2},
		{Rule: RejectedLoadIsNotKept, Scenario: "fills", Broken: G1a},
		{Rule: RejectedSetIsNotKept, Scenario: "set and bound", Broken: G1b},
		{Rule: SetStampsBeforeBegin, Scenario: "set and queue", Broken: G1aPending},
		{Rule: MetFlightsRaise, Scenario: "flights", Broken: G3},
		{Rule: UnkeptReadsRaise, Scenario: "flights", Broken: G3},
		{Rule: ReadIsAsOldAsLease, Scenario: "isolated", Broken: G1b},
		{Rule: ReadMustBeValid, Scenario: "isolated", Broken: G1b},
		{Rule: BehindIsNotUsed, Scenario: "straggler", Broken: G1b},
		{Rule: FormerIsReadAgain, Scenario: "straggler loads", Broken: G1b},

		{Rule: MessageRaisesStripe, Scenario: "bound", Broken: G1b},
		{Rule: GapRaisesFloor, Scenario: "gap", Broken: G1b},
		{Rule: StripeBeforeLast, Scenario: "steps", Broken: G1b},
		{Rule: ProbeNotesTimeFirst, Scenario: "bound", Broken: G1b},
		{Rule: ProbeWaitsForMessages, Scenario: "bound", Broken: G1b},
		{Rule: FloorBeforeLease, Scenario: "bound", Broken: G1b},
		{Rule: RewoundVoids, Scenario: "rewind", Broken: G1b},
		{Rule: RewriteIsOdd, Scenario: "rewind steps", Broken: G1b},
		{Rule: ProbeWrites, Scenario: "isolated", Broken: G1b},
		{Rule: EpochMovesSequence, Scenario: "failover", Broken: G1b},
		{Rule: EpochEndsValues, Scenario: "failover", Broken: G1b},
		// Another primary has another run id and another epoch. Either would do; who
		// looks at one only relies on what Redis tells about the other.
		{Rule: EpochVoids, Also: []Rule{RunRestarts}, Scenario: "failover", Broken: G1b},
		{Rule: EpochIsNamed, Scenario: "catches up", Broken: G1b},
		{Rule: RunRestarts, Also: []Rule{EpochVoids}, Scenario: "failover", Broken: G1b},

		{Rule: DeleteRaisesStripe, Scenario: "fills", Broken: G1a},
		{Rule: NumbersNeedGeneration, Scenario: "confirmed late", Broken: G1a},
		{Rule: OldNumberRestarts, Scenario: "own rewind", Broken: G1a},
		{Rule: UnknownIsQueued, Scenario: "late", Broken: G1aPending},
		{Rule: UnknownVoids, Scenario: "late", Broken: G1aPending},
		{Rule: QueueBeforeVoid, Scenario: "late", Broken: G1aPending},
		{Rule: PendingReadsNoRedis, Scenario: "late", Broken: G1aPending},
		{Rule: ReaddedStays, Scenario: "queued again", Broken: G1aPending},

		{Rule: DeleteVoids, Scenario: "unheard", Broken: G1a},
	}
}

// redundant are the others.
func redundant() []Mutant {
	return []Mutant{
		{Rule: OddIsNoGeneration, Scenario: "rewind steps", Redundant: "who rewrites stripes holds the lock of the partition's writers: " +
			"no Delete returns here and no message is heard meanwhile, and what was stamped meanwhile is void afterwards"},
		{Rule: DetachedEnds, Scenario: "alone", Redundant: "the copy was loaded after its stamp, so that it includes all that was heard, " +
			"and a later invalidation is heard, or missed and noticed, like any other; it bounds what depends on a Redis that nobody could ask"},
		{Rule: PendingFillsNoRedis, Scenario: "queue and loads", Redundant: "what such a fill stores is removed by the queued invalidation, " +
			"and until then no Delete has been confirmed that it is older than; it spares other instances an old value"},
		{Rule: LocalDeleteForgets, Scenario: "fills", Redundant: "who joins a flight that began before a Delete here discards what it brings; " +
			"to forget the flight spares it the wait"},
		{Rule: NewerStays, Scenario: "flights", Redundant: "an older copy can only come after a newer one from a flight that met the other's, " +
			"and the stripe is raised above it then; to keep the newer one spares a miss"},
		{Rule: LeaderChecksFences, Scenario: "fills", Redundant: "what a leader brings was read after it came, " +
			"and no value that was confirmed before can have been missing then; it gets a fresher answer than was promised"},
		{Rule: ProbeNotesLastFirst, Scenario: "rewind", Redundant: "compared with what was heard meanwhile, an answer seems to have gone back " +
			"more often, and a rewind voids more than it need"},
		{Rule: LeaseMovesForward, Scenario: "bound", Redundant: "an earlier lease ends earlier; and probes follow one another"},
		{Rule: RestartVoids, Scenario: "flush", Redundant: "a sequence that comes back larger than it was is like one whose messages were lost: " +
			"the floor voids what is older"},
	}
}

// Find returns the scenario with a name, or nil.
func Find(name string) *Scenario {
	all := append(Scenarios(), LongScenarios()...)
	for _, h := range Holes() {
		all = append(all, h.Scenario)
	}
	for _, sc := range all {
		if sc.Name == name {
			return sc
		}
	}
	return nil
}

// Rules are those under which the absence of the mutant's rule is looked at.
func (m Mutant) Rules() Rules {
	rules := AsBuilt()
	for _, h := range Holes() {
		if h.Scenario.Name == m.Scenario {
			rules = rules.With(h.Mend...)
		}
	}
	return rules.Without(m.Rule).Without(m.Also...)
}
