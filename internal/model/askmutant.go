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
