package model

// missedByWrites are the rules of Mutates and of an origin that lags behind.
func missedByWrites() []Mutant {
	return []Mutant{
		{Rule: BlockRemovesLease, Scenario: "mutates meet", Broken: G2},
		{Rule: BlockCounts, Scenario: "mutate", Broken: G1b},
		{Rule: LeaseRespectsTombstone, Scenario: "mutate", Broken: G2},
		{Rule: FillRespectsTombstone, Also: []Rule{BlockedBeginGrantsNothing}, Scenario: "mutate and set", Broken: G2},
		{Rule: BlockedLoadIsNotKept, Scenario: "mutate", Broken: G1b},
		{Rule: DeleteLeavesTombstone, Scenario: "mutate and delete", Broken: G2},
		{Rule: SetLeavesTombstone, Scenario: "mutate and set", Broken: G2},
		{Rule: UnblockComparesToken, Scenario: "mutates meet", Broken: G2},
		{Rule: MetTombstonesAreShared, Scenario: "mutates meet", Broken: G2},
		{Rule: TombstonesNeverShorten, Scenario: "mutates meet", Broken: G2},
		{Rule: WriteEndsBeforeTombstone, Scenario: "mutate", Broken: G2},
		{Rule: FailedWriteInvalidates, Scenario: "mutate here", Broken: G2},
		{Rule: LagLeavesTombstone, Scenario: "lag", Broken: G2},
		{Rule: TombstoneOutlivesLag, Scenario: "lag and mutate", Broken: G2},
		{Rule: PendingLagIsNotKept, Scenario: "lag here", Broken: G1aPending},

		{Rule: BlockedBeginGrantsNothing, Scenario: "set under a tombstone", Broken: G2},
		{Rule: LaggingSetLeavesTombstone, Scenario: "lag and set", Broken: G2},
		{Rule: LaggingFillLeavesLease, Scenario: "lag and set", Broken: G2},
		{Rule: UnsharedLoadsAgeForJoiners, Scenario: "lag and joins", Broken: G1b},
	}
}
