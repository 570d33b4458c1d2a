package model

import "slices"

// askMoreScenarios are about loads that ask, where that meets reads past L1, loads ahead
// of time, tags, and values that are served past their lives.
func askMoreScenarios() []*Scenario {
	return slices.Concat(askPastScenarios(), askAheadScenarios(), askTagScenarios(), askStaleScenarios())
}

// askPastScenarios are about loads that ask and read past L1.
func askPastScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "ask forced", Doc: "an instance forces a load that asks, another one deletes; it cannot reach Redis once",
			Instances: 2, Kinds: kinds{1: {AskForce, Get}}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Forces: 1, Absences: 1},
		},
		{
			Name: "ask forced here", Doc: "an instance forces a load that asks, and deletes; a call is given up",
			Instances: 1, Kinds: kinds{{AskForce, Get}}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true,
			Budget: Budget{Forces: 1, Timeouts: 1, Absences: 1},
		},
		{
			Name: "ask forced beside", Doc: "two readers of an instance meet in the air while another one forces a load that asks",
			Instances: 2, Kinds: kinds{{Get, GetOrLoad}, one(AskForce)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true,
			Budget: Budget{Forces: 1},
		},
		{
			Name: "ask bypass", Doc: "an instance asks past L1, and cannot reach Redis once; another one deletes",
			Instances: 2, Kinds: kinds{1: one(AskBypass)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Absences: 1, Lives: 1},
		},
	}
}

// askAheadScenarios are about loads ahead of time that ask.
func askAheadScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "ask ahead", Doc: "an instance refreshes ahead of time what it hits in L1, and asks; another one deletes",
			Instances: 2, Kinds: kinds{1: {Get, AskAhead}}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true, Copies: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Aheads: 1},
		},
		{
			Name: "ask ahead of Redis", Doc: "the same with what it has read in Redis, which L1 does not keep; another one sets",
			Instances: 2, Kinds: kinds{{Get, AskAhead}}, Ops: ops{1: {Set, Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true, Serial: true,
			Budget: Budget{Aheads: 1, Drops: 1},
		},
		{
			Name: "ask ahead here", Doc: "an instance refreshes ahead of time what it hits in L1, asks, and deletes; a call is given up",
			Instances: 1, Kinds: kinds{{GetOrLoad, AskAhead}}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Copies: true,
			Budget: Budget{Aheads: 1, Timeouts: 1},
		},
		{
			Name: "ask ahead and expire", Doc: "an instance expires what another one refreshes ahead of time and asks about; the origin knows each version",
			Instances: 2, Kinds: kinds{1: {GetOrLoad, AskAhead}}, Ops: ops{{Expire}}, Bound: 1, Warm: true, Stale: true, Copies: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Aheads: 1},
		},
		{
			Name: "ask ahead expired and deleted", Doc: "an instance expires, which the origin does not tell, and then deletes what another one refreshes ahead of time and asks about",
			Instances: 2, Kinds: kinds{1: {Ask, AskAhead}}, Ops: ops{{Expire, Delete}}, Bound: 1, Warm: true, Weak: true, Stale: true, Copies: true,
			Budget: Budget{Aheads: 1},
		},
		{
			Name: "ask ahead of a failover", Doc: "a failover loses a Delete, which nobody remembers; an instance refreshes ahead of time and asks",
			Instances: 2, Kinds: kinds{1: {Get, AskAhead}}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Copies: true, Deaf: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Replicated: true, Behind: true, Runs: true, Forgetful: true,
			Budget: Budget{Failovers: 1, Aheads: 1},
		},
		{
			Name: "ask ahead and stale", Doc: "an instance refreshes ahead of time what it hits in L1, asks, and serves it past its life; another one deletes",
			Instances: 2, Kinds: kinds{{AskStale, AskAhead}}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Weak: true, Stale: true, Copies: true,
			Budget: Budget{Aheads: 1, Lives: 1, Drops: 1},
		},
		{
			Name: "ask mutate", Doc: "an instance mutates, and may die at each step; another one asks, and refreshes ahead of time",
			Instances: 2, Kinds: kinds{1: {Ask, AskAhead}}, Ops: ops{{Mutate}}, Bound: 1, Warm: true, Weak: true, Copies: true, Deaf: true,
			Budget: Budget{Crashes: 1, Lives: 1, Aheads: 1},
		},
	}
}

// askTagScenarios are about loads that ask about values with a tag, and about those of a region that is cleared.
func askTagScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "ask tag", Doc: "one instance invalidates a tag, another one asks about what is past its life",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Ended: true, Weak: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
		},
		{
			Name: "ask tag alone", Doc: "one instance invalidates a tag, another one asks about a copy whose life ends; the key's part of Redis cannot be reached once",
			Instances: 2, Kinds: kinds{1: one(Ask)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Weak: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Lives: 1, Absences: 1},
		},
		{
			Name: "ask tag here", Doc: "InvalidateTags fails and is sent again, while the origin is asked about what is past its life",
			Instances: 1, Kinds: kinds{one(Ask)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Ended: true, Weak: true,
			Budget: Budget{Timeouts: 1}, SlowFlights: true, Tagged: true,
		},
		{
			Name: "ask tag joins", Doc: "readers wait for a load that asks, whose tag is invalidated meanwhile",
			Instances: 1, Kinds: kinds{pair(Ask)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Ended: true, Weak: true, Tagged: true,
			Budget: Budget{Absences: 1},
		},
		{
			Name: "ask tag ahead", Doc: "an instance refreshes ahead of time what it hits in L1, and asks; another one invalidates its tag",
			Instances: 2, Kinds: kinds{1: {Get, AskAhead}}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Weak: true, Copies: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Aheads: 1},
		},
		{
			Name: "ask tag forced", Doc: "an instance forces a load that asks, another one invalidates the tag",
			Instances: 2, Kinds: kinds{1: {AskForce, Get}}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Weak: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Forces: 1},
		},
		{
			Name: "ask tag out of reach", Doc: "an instance invalidates the tag of its copy, whose life ends, and cannot reach Redis twice",
			Instances: 1, Kinds: kinds{one(Ask)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Weak: true, Tagged: true,
			Budget: Budget{Lives: 1, Absences: 2},
		},
		{
			Name: "ask tag stale", Doc: "L1 keeps a copy past its life, and Redis has a newer value, with a tag, that is asked about",
			Instances: 2, Kinds: kinds{one(AskStale)}, Ops: ops{1: {InvalidateTags}}, Bound: 1, Warm: true, Weak: true, Stale: true, Tagged: true,
			Budget: Budget{Lives: 2, Evictions: 1, Drops: 1},
		},
		{
			Name: "ask clear", Doc: "one instance clears the region, both ask about what is past its life",
			Instances: 2, Kinds: kinds{one(Ask), one(Ask)}, Ops: ops{{Clear}}, Bound: 1, Warm: true, Ended: true, Weak: true, Deaf: true,
		},
	}
}

// askStaleScenarios are about loads that ask about values that are served past their lives, or were
// expired, and about copies that were outlived.
func askStaleScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "ask stale", Doc: "an instance asks about what is past its life, or is served it; another one deletes",
			Instances: 2, Kinds: kinds{1: one(AskStale)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Stale: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Lives: 1},
		},
		{
			Name: "ask stale here", Doc: "an instance asks about what is past its life, or is served it, and deletes; a call is given up",
			Instances: 1, Kinds: kinds{one(AskStale)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Weak: true, Stale: true,
			Budget: Budget{Lives: 1, Timeouts: 1},
		},
		{
			Name: "ask stale pair", Doc: "two readers of an instance wait for the same load, which asks; another one deletes",
			Instances: 2, Kinds: kinds{pair(AskStale)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Weak: true, Stale: true,
			Budget: Budget{Lives: 1, Evictions: 1},
		},
		{
			Name: "ask stale and expire", Doc: "an instance expires, it and another one ask or are served it, and the origin knows each version",
			Instances: 2, Kinds: kinds{one(AskStale), one(AskStale)}, Ops: ops{{Expire}}, Bound: 1, Warm: true, Stale: true, Deaf: true,
			Budget: Budget{Lives: 1},
		},
		{
			Name: "ask expired and deleted", Doc: "an instance expires, which the origin does not tell, and then deletes; both ask",
			Instances: 2, Kinds: kinds{one(Ask), one(Ask)}, Ops: ops{{Expire, Delete}}, Bound: 1, Warm: true, Weak: true, Stale: true, Deaf: true,
		},
		{
			Name: "ask stale and dropped", Doc: "L1 keeps a copy past its life, and not the newer one, which is asked about",
			Instances: 2, Kinds: kinds{one(AskStale)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Weak: true, Stale: true,
			Budget: Budget{Lives: 2, Evictions: 1, Drops: 1},
		},
		{
			Name: "ask beside and dropped", Doc: "L1 keeps a copy past its life, and not the newer one, in whose place another version of the service stores its own",
			Instances: 2, Kinds: kinds{one(Ask)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true, Deaf: true,
			Budget: Budget{Lives: 2, Evictions: 2, Drops: 2, Foreigns: 1},
		},
		{
			Name: "ask outlived", Doc: "L1 keeps a copy past its life, and not the newer one, and the instance cannot reach Redis",
			Instances: 2, Kinds: kinds{one(Ask)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Weak: true, Monotone: true, Deaf: true,
			Budget: Budget{Lives: 1, Evictions: 1, Drops: 2, Absences: 1},
		},
	}
}
