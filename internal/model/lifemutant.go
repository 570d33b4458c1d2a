package model

// missedByLives are the rules of values that are kept beyond their lives.
func missedByLives() []Mutant {
	return []Mutant{
		{Rule: ExpireRemovesLease, Scenario: "expire here", Broken: Expired},
		{Rule: ExpireEndsLife, Scenario: "expire", Broken: Expired},
		{Rule: ExpireCounts, Scenario: "expire", Broken: Expired},
		{Rule: StaleMustBeValid, Scenario: "stale", Broken: G1b},
		{Rule: HeldIsJudged, Scenario: "stale and isolated", Broken: G1b},
		{Rule: HeldIsOwn, Scenario: "stale pair", Broken: WentBack},
		{Rule: HeldIsBarred, Scenario: "expire here", Broken: WentBack},
		{Rule: StaleAsksPending, Scenario: "stale here", Redundant: "queueing has voided all copies, and Redis is not read while it lasts, " +
			"so that there is nothing past its life that was not void; it spares a caller the look"},
		{Rule: StaleAsksPendingFirst, Scenario: "stale here", Redundant: "a copy that was good when it was judged was so after the read had begun, " +
			"and a Delete that is queued after that has not returned before it"},
		{Rule: UnsharedLoadsBar, Scenario: "stale pair", Broken: WentBack},
		{Rule: OutlivedBars, Scenario: "stale and dropped", Broken: WentBack},
		{Rule: HeldRaises, Scenario: "stale and read", Broken: G3},
		{Rule: HeldStampsAnew, Scenario: "stale and read", Redundant: "what it has raised voids its own stamp, and it reads once more than need be"},
		{Rule: HeldAsksPendingAgain, Scenario: "stale and queued", Broken: G1aPending},
		{Rule: EpochEndsStale, Scenario: "stale failover", Broken: G1b},
		{Rule: AheadTakesLease, Scenario: "refresh", Broken: G3},
		{Rule: AheadRefusesItsOwn, Scenario: "refresh", Redundant: "it loads once more than need be"},
		{Rule: AheadIsInTheAir, Scenario: "refresh and set", Broken: G3},
	}
}
