package model

// writeScenarios are about Mutates, and about an origin that lags behind.
func writeScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "mutate", Doc: "an instance mutates, and may die at each step; another one loads, which takes longer than the bound",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "mutate here", Doc: "an instance mutates and loads; a call is given up, and may run late",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 1}, SlowFlights: true,
		},
		{
			Name: "mutates meet", Doc: "two instances mutate, one of them dies, and one loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}, {Mutate}}, Bound: 1, Deaf: true,
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "mutate twice", Doc: "an instance mutates while another one loads; a script runs twice, the second time late",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Deaf: true,
			Budget: Budget{Crashes: 1, Repeats: 1},
		},
		{
			Name: "mutate and delete", Doc: "an instance mutates and dies, another one deletes and loads meanwhile",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}, {Delete}}, Bound: 1, Deaf: true,
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "mutate and set", Doc: "an instance mutates, another one sets and loads meanwhile; the tombstone lasts",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}, {Set}}, Bound: 1, Serial: true, Deaf: true, Lasting: true,
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "lag", Doc: "an instance deletes, another one loads from an origin that lags behind",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Lagging: true,
		},
		{
			Name: "lag here", Doc: "an instance deletes and loads from an origin that lags behind; a call is given up",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Lagging: true,
			Budget: Budget{Timeouts: 1},
		},
		{
			Name: "lag and mutate", Doc: "an instance mutates an origin that lags behind, and may die; another one loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Lagging: true, Deaf: true,
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "set under a tombstone", Doc: "a Set begins under the tombstone of a Mutate whose process dies, and fills after it has ended",
			Instances: 2, Ops: ops{{Mutate}, {Set}}, Bound: 1, Serial: true, Deaf: true,
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "lag and set", Doc: "an instance sets, and loads from an origin that lags behind; calls may be given up, and the value's life may end",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Set}}, Bound: 1, Lagging: true,
			Budget: Budget{Expiries: 1, Timeouts: 1, Evictions: 1},
		},
	}
}

// longWriteScenarios are larger forms of them.
func longWriteScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "mutates meet twice", Doc: "two instances mutate, one of them dies, and one loads; a script runs twice",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}, {Mutate}}, Bound: 1, Deaf: true,
			Budget: Budget{Crashes: 1, Repeats: 1},
		},
		{
			Name: "both die", Doc: "two instances mutate and may both die, a third one loads",
			Instances: 3, Kinds: kinds{2: one(GetOrLoad)}, Ops: ops{{Mutate}, {Mutate}}, Bound: 1, Deaf: true,
			Budget: Budget{Crashes: 2},
		},
		{
			Name: "mutate and stale", Doc: "an instance mutates and may die, another one reads what is past its life; no load succeeds",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Warm: true, Stale: true, Failing: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Crashes: 1, Lives: 1},
		},
		{
			Name: "lag and mutates", Doc: "two instances mutate an origin that lags behind, one of them dies, and one loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}, {Mutate}}, Bound: 1, Lagging: true, Deaf: true,
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "lag and joins", Doc: "readers join loads that take longer than the lag and the bound",
			Instances: 2, Kinds: kinds{pair(GetOrLoad)}, Ops: ops{1: {Delete}}, Bound: 1, Lagging: true,
			Ticks: true, Probes: probes{true}, Deaf: true,
		},
		{
			Name: "lag and sets", Doc: "two instances set, and one loads from an origin that lags behind; a script runs twice",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Set}, {Set}}, Bound: 1, Lagging: true, Serial: true, Deaf: true,
			Budget: Budget{Repeats: 1, Evictions: 1},
		},
		{
			Name: "lag, set and mutate", Doc: "an instance sets under the tombstone of another one that mutates and may die, or the other way round; one loads from an origin that lags behind",
			Instances: 2, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Set}, {Mutate}}, Bound: 1, Lagging: true, Serial: true, Deaf: true,
			Budget: Budget{Crashes: 1, Evictions: 1},
		},
	}
}
