package model

// askScenarios are about loads that ask whether a value is unchanged. The origin's
// validators are weak, but where an Expire is to end what was there: it says "unchanged"
// also of what was changed once.
func askScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "ask", Doc: "an instance deletes, another one asks about what is past its life",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Lives: 1},
		},
		{
			Name: "ask alone", Doc: "an instance that asks cannot reach Redis for a while, another one deletes",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Lives: 1, Absences: 1},
		},
		{
			Name: "ask here", Doc: "an instance deletes and asks; it cannot reach Redis for a while",
			Instances: 1, Kinds: kinds{one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true,
			Budget: Budget{Lives: 2, Absences: 2, Timeouts: 1},
		},
		{
			Name: "ask beside", Doc: "after a Delete Redis has a value of another version of the service, and an instance asks about its copy",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Lives: 1, Foreigns: 1},
		},
		{
			Name: "ask and expire", Doc: "an instance expires, it and another one ask, and the origin knows each version; a script runs twice",
			Instances: 2, Kinds: kinds{one(Ask), one(Ask)}, Ops: ops{{Expire}}, Bound: 1, Warm: true, Stale: true, Deaf: true,
			Budget: Budget{Lives: 1, Repeats: 1},
		},
		{
			Name: "ask after failover", Doc: "a failover loses a Delete, which nobody remembers; an instance asks, and cannot reach Redis once",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Replicated: true, Behind: true, Runs: true, Forgetful: true,
			Budget: Budget{Failovers: 1, Absences: 1},
		},
		{
			Name: "ask and set", Doc: "two readers of an instance meet in the air, one of which asks, and L1 may not keep what they bring; another one sets",
			Instances: 2, Kinds: kinds{{Get, Ask}}, Ops: ops{1: {Set}}, Bound: 1, Warm: true, Weak: true, Monotone: true,
			Budget: Budget{Lives: 2, Drops: 1},
		},
		{
			Name: "ask in two", Doc: "two instances ask, one of them deletes; a lease may end, or a script run late",
			Instances: 2, Kinds: kinds{one(Ask), one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Ended: true, Weak: true, Deaf: true,
			Budget: Budget{Expiries: 1, Timeouts: 1},
		},
	}
}

// longAskScenarios are larger forms of them.
func longAskScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "ask failover", Doc: "a failover loses a Delete, which nobody remembers; an instance asks, and may not know yet",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Ended: true, Weak: true, Deaf: true,
			Ticks: true, Timely: true, Probes: probes{true, true}, Replicated: true, Behind: true, Runs: true, Forgetful: true,
			Budget: Budget{Failovers: 1},
		},
		{
			Name: "ask late after failover", Doc: "a failover loses a Delete, which nobody remembers; an instance asks, and gives up a call",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Ended: true, Weak: true, Deaf: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Replicated: true, Behind: true, Runs: true, Forgetful: true,
			Budget: Budget{Failovers: 1, Timeouts: 1},
		},
		{
			Name: "ask pair", Doc: "an instance cannot reach Redis once, and two of its readers wait for the same question; another one deletes",
			Instances: 2, Kinds: kinds{1: pair(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Deaf: true,
			Ticks: true, Budget: Budget{Lives: 1, Absences: 1},
		},
	}
}
