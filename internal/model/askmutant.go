package model

// missedByAsking are the rules of loads that ask whether a value is unchanged.
func missedByAsking() []Mutant {
	return []Mutant{
		{Rule: RenewalNeedsLease, Scenario: "ask and expire", Broken: Expired},
		{Rule: RenewalNeedsValue, Scenario: "ask", Broken: G2},
		{Rule: RenewalEndsWithEpoch, Scenario: "ask failover", Broken: G1b},
		{Rule: UnchangedIsVouched, Scenario: "ask here", Broken: G1aPending},
		{Rule: FormerIsNotAsked, Scenario: "ask late after failover", Broken: G1b},
		{Rule: FormerCopyIsNotAsked, Scenario: "ask after failover", Broken: G1b},
		{Rule: UnchangedIsNoNewer, Scenario: "ask beside", Broken: G1b},
		{Rule: UnchangedIsNoYounger, Scenario: "ask alone", Broken: G1b},
		{Rule: JoinJudgesUnchanged, Scenario: "ask pair", Broken: G1b},
	}
}

// missedByAskingMore are those of loads that ask where that meets something else.
func missedByAskingMore() []Mutant {
	return []Mutant{
		{Rule: OutlivedIsNotAsked, Scenario: "ask beside and dropped", Broken: G3},
		{Rule: BypassAsksAboutNoCopy, Scenario: "ask bypass", Broken: G1b},
		{Rule: ForcedRenewalCounts, Scenario: "ask forced", Redundant: "copies elsewhere are of the value that lives on, or of one that Redis has evicted, " +
			"of which no guarantee speaks; but a forced load is to replace those too"},
		{Rule: RenewalEndsWithClear, Scenario: "ask clear", Broken: G2},
		{Rule: UnchangedTagsAreJudged, Scenario: "ask tag", Broken: G1b},
		{Rule: UnchangedTagsAreVouched, Scenario: "ask tag out of reach", Broken: G1a},
		{Rule: HeardIncludesTags, Scenario: "ask tag alone", Redundant: "the tag's mark is as old as it was, and judges the copy and who joins by itself; " +
			"the copy's life ends when it can no longer be valid"},
		{Rule: UnchangedKeepsTagMark, Scenario: "ask tag joins", Broken: G1a},
		{Rule: RenewalKeepsStamp, Scenario: "ask tag here", Broken: G2},
		{Rule: FormerTagIsNotAsked, Scenario: "ask tag failover", Broken: G1b},
		{Rule: FormerTagIsSoughtAfterMark, Scenario: "ask tag unprobed", Broken: G1b},
		{Rule: RenewedTaggedIsNotKept, Scenario: "ask tag joins", Redundant: "a failover of the tag's partition voids the mark that the copy would have; " +
			"what its stamp leaves of its life need not be worked out so"},
		{Rule: RenewedReplacesStale, Scenario: "ask tag stale", Redundant: "the bar does it, see OutlivedBars, but it bars the renewed value in Redis as well"},
	}
}
