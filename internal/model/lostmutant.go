package model

// missedByLosses are the rules about what Redis loses during a write, and about tags
// under tombstones.
func missedByLosses() []Mutant {
	return []Mutant{
		{Rule: UnblockInvalidatesAnyway, Scenario: "mutate and flush", Broken: G2},
		{Rule: FillStatesGrant, Scenario: "mutate failover", Broken: G1b},
		// Elsewhere values from before a failover end with the grace anyway; replaying ends
		// them sooner, as a rule within milliseconds. Where the origin lags behind, what is
		// loaded after the failover is not from before.
		{Rule: AcknowledgedIsReplayed, Scenario: "lag failover", Broken: G2},
		{Rule: LateAcksAreSentAgain, Scenario: "lag failover", Broken: G2},
		{Rule: RetriedLeavesTombstone, Scenario: "lag failover", Broken: G2},
		{Rule: BlockedLoadIsLabelled, Scenario: "tag and slow blocked joins", Broken: G1a},
	}
}
