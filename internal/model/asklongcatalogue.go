package model

// longAskMoreScenarios are larger forms of those in which loads that ask meet something
// else.
func longAskMoreScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "ask forced and expire", Doc: "an instance forces a load that asks, another one expires, and the origin knows each version",
			Instances: 2, Kinds: kinds{1: {AskForce, Get}}, Ops: ops{{Expire}}, Bound: 1, Warm: true, Stale: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Forces: 1},
		},
		{
			Name: "ask forced and set", Doc: "an instance forces a load that asks about what another one has set, while L1 has what was before",
			Instances: 2, Kinds: kinds{1: one(AskForce)}, Ops: ops{{Set, Delete}}, Bound: 1, Warm: true, Weak: true, Serial: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Forces: 2},
		},
		{
			Name: "ask forced after failover", Doc: "a failover loses a Delete, which nobody remembers; an instance forces a load that asks",
			Instances: 2, Kinds: kinds{1: one(AskForce)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Deaf: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Replicated: true, Behind: true, Runs: true, Forgetful: true,
			Budget: Budget{Failovers: 1, Forces: 2},
		},
		{
			Name: "ask forced isolated", Doc: "the same with a forced load",
			Instances: 2, Kinds: kinds{1: one(AskForce)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Deaf: true,
			Ticks: true, Probes: probes{1: true}, Runs: true,
			Budget: Budget{Isolates: 1, Forces: 1},
		},
		{
			Name: "ask forced straggler", Doc: "the same with a forced load",
			Instances: 2, Kinds: kinds{1: one(AskForce)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Deaf: true,
			Ticks: true, Probes: probes{1: true}, Runs: true, Straggles: true,
			Budget: Budget{Isolates: 1, Forces: 1},
		},
		{
			Name: "ask isolated", Doc: "an instance is left behind with an old primary, and asks about what that has",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Ended: true, Weak: true, Deaf: true,
			Ticks: true, Probes: probes{1: true}, Runs: true,
			Budget: Budget{Isolates: 1},
		},
		{
			Name: "ask straggler", Doc: "some connections of an instance that asks are still to an old primary",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Ended: true, Weak: true, Deaf: true,
			Ticks: true, Probes: probes{1: true}, Runs: true, Straggles: true,
			Budget: Budget{Isolates: 1},
		},
		{
			Name: "ask flush", Doc: "Redis loses the sequence, or everything; an instance asks",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Losses: 1, Flushes: 1, Lives: 1},
		},
		{
			Name: "ask tag failover", Doc: "a failover of the tag's partition loses an invalidation; an instance asks",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Ended: true, Weak: true,
			Ticks: true, Timely: true, SlowFlights: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Tag: TagBudget{Failovers: 1}},
		},
		{
			Name: "ask tag ahead of a failover", Doc: "the same with a load ahead of time",
			Instances: 2, Kinds: kinds{1: {Get, AskAhead}}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Weak: true, Copies: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Aheads: 1, Tag: TagBudget{Failovers: 1}},
		},
		{
			Name: "ask tag unprobed", Doc: "a failover of the tag's partition loses an invalidation; an instance forces loads that ask, but its probes of the partition do not succeed",
			Instances: 2, Kinds: kinds{1: one(AskForce)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Weak: true, Deaf: true,
			Ticks: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Forces: 2, Tag: TagBudget{Failovers: 1}},
		},
	}
}
