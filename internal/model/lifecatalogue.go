package model

// lifeScenarios are about values that are kept beyond their lives.
func lifeScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "stale", Doc: "an instance deletes, another one reads, and is served what is past its life",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Stale: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Lives: 1},
		},
		{
			Name: "stale here", Doc: "an instance deletes and reads what is past its life; a call is given up",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Stale: true,
			Budget: Budget{Lives: 1, Timeouts: 1},
		},
		{
			Name: "stale pair", Doc: "two readers of an instance wait for the same load, another one deletes",
			Instances: 2, Kinds: kinds{pair(GetOrLoad)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Stale: true,
			Budget: Budget{Lives: 1, Evictions: 1},
		},
		{
			Name: "stale and dropped", Doc: "L1 keeps a copy past its life, and not the newer one",
			Instances: 2, Kinds: kinds{one(GetOrLoad)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Stale: true,
			Budget: Budget{Lives: 1, Evictions: 1, Drops: 1},
		},
		{
			Name: "stale failover", Doc: "a failover loses acknowledged writes, which nobody remembers; no load succeeds",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Stale: true, Failing: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Replicated: true, Runs: true, Forgetful: true,
			Budget: Budget{Failovers: 1, Lives: 1},
		},
		{
			Name: "refresh", Doc: "an instance refreshes ahead of time while it reads, another one deletes",
			Instances: 2, Kinds: kinds{{GetOrLoad, Ahead}}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Monotone: true,
			Budget: Budget{Aheads: 1, Drops: 1},
		},
		{
			Name: "refresh and set", Doc: "an instance refreshes ahead of time while it reads, another one sets",
			Instances: 2, Kinds: kinds{{Get, Ahead}}, Ops: ops{1: {Set, Set}}, Bound: 1, Warm: true, Monotone: true, Serial: true,
			Budget: Budget{Aheads: 1, Drops: 1},
		},
		{
			Name: "refresh here", Doc: "an instance refreshes, reads and deletes; a call is given up",
			Instances: 1, Kinds: kinds{{GetOrLoad, Ahead}}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Budget: Budget{Aheads: 1, Timeouts: 1},
		},
		{
			Name: "refresh in two", Doc: "two instances refresh at once, one deletes; a lease may end",
			Instances: 2, Kinds: kinds{{GetOrLoad, Ahead}, one(Ahead)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true, Deaf: true,
			Budget: Budget{Aheads: 2, Expiries: 1},
		},
		{
			Name: "expire", Doc: "an instance expires, another one reads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Expire}}, Bound: 1, Warm: true, Stale: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
		},
		{
			Name: "expire here", Doc: "an instance expires and reads; a call is given up",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Expire}}, Bound: 1, Stale: true,
			Budget: Budget{Lives: 1, Timeouts: 1},
		},
		{
			Name: "stale and read", Doc: "a reader is served what is past its life, which L1 does not keep, while another one has read an older value",
			Instances: 2, Kinds: kinds{{Get, GetOrLoad}}, Ops: ops{1: {Set}}, Bound: 1, Warm: true, Stale: true, Monotone: true,
			Budget: Budget{Lives: 1, Drops: 1},
		},
	}
}

// longLifeScenarios are larger forms of them.
func longLifeScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "long stale", Doc: "an instance deletes, another one reads what is past its life, and may not have heard for longer than the bound",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Stale: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Lives: 1},
		},
		{
			Name: "stale and isolated", Doc: "an instance is left behind with an old primary, which has a value past its life; no load succeeds",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Stale: true, Failing: true,
			Ticks: true, Probes: probes{1: true}, Runs: true,
			Budget: Budget{Lives: 1, Isolates: 1},
		},
		{
			Name: "long expire", Doc: "the same with an Expire",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Expire}}, Bound: 1, Warm: true, Stale: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Lives: 1},
		},
		{
			Name: "long refresh", Doc: "an instance refreshes what it reads, which takes longer than the bound, another one deletes",
			Instances: 2, Kinds: kinds{1: {GetOrLoad, Ahead}}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Aheads: 1},
		},
		{
			Name: "refresh and stale", Doc: "an instance refreshes what it reads, whose life may end, another one mutates and may die",
			Instances: 2, Kinds: kinds{1: {GetOrLoad, Ahead}}, Ops: ops{{Mutate}}, Bound: 1, Warm: true, Stale: true, Deaf: true,
			Budget: Budget{Aheads: 1, Lives: 1, Crashes: 1},
		},
		{
			Name: "expire and delete", Doc: "an instance expires, deletes and reads; a call is given up",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Expire, Delete}}, Bound: 1, Stale: true,
			Budget: Budget{Lives: 1, Timeouts: 1},
		},
		{
			Name: "stale and queued", Doc: "an instance that reads what is past its life deletes, which fails and is queued, while another one loads what was there before",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true, Stale: true, Deaf: true,
			Budget: Budget{Lives: 1, Timeouts: 1},
		},
	}
}
