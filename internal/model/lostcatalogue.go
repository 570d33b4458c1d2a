package model

// lostScenarios are about what Redis loses while there is a tombstone.
func lostScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "mutate and flush", Doc: "Redis loses everything, or the tombstone alone, while an instance mutates, which may die; another one loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Warm: true, Deaf: true,
			Budget: Budget{Crashes: 1, Flushes: 1, Tombstones: 1},
		},
		{
			Name: "mutate and flush later", Doc: "the same where loads take longer than the bound",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{1: true},
			Budget: Budget{Crashes: 1, Flushes: 1},
		},
		{
			Name: "mutate failover", Doc: "a failover loses what a Mutate has done so far, which nobody remembers; another instance loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1,
			Ticks: true, Timely: true, Probes: probes{1: true}, Replicated: true, Runs: true, Forgetful: true, Deaf: true,
			Budget: Budget{Failovers: 1},
		},
		{
			Name: "lag failover", Doc: "a failover loses a Delete and its tombstone, which are sent again; another instance loads from an origin that lags behind",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Lagging: true, Deaf: true,
			Probes: probes{true}, Replicated: true, Runs: true, SlowAcks: true,
			Budget: Budget{Failovers: 1},
		},
	}
}

// longLostScenarios are larger forms of them.
func longLostScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "long lag failover", Doc: "the same with a reader that knows how old its copies are",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Lagging: true, Deaf: true,
			Ticks: true, Timely: true, Probes: probes{true, true}, Replicated: true, Behind: true, Runs: true, SlowAcks: true,
			Budget: Budget{Failovers: 1},
		},
		{
			Name: "mutate failover and crash", Doc: "the same, and the process that mutates may die",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1,
			Ticks: true, Timely: true, Probes: probes{1: true}, Replicated: true, Runs: true, Forgetful: true, Deaf: true,
			Budget: Budget{Crashes: 1, Failovers: 1},
		},
		{
			Name: "lag, mutate and failover", Doc: "a failover loses what a Mutate has done so far, which is sent again; another instance loads from an origin that lags behind",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Lagging: true, Deaf: true,
			Probes: probes{true}, Replicated: true, Runs: true, SlowAcks: true,
			Budget: Budget{Crashes: 1, Failovers: 1},
		},
		{
			Name: "mutates and flush", Doc: "Redis loses everything, or a tombstone, while two instances mutate, of which one may die; one loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}, {Mutate}}, Bound: 1, Deaf: true,
			Budget: Budget{Crashes: 1, Flushes: 1, Tombstones: 1},
		},
		{
			Name: "tag and slow blocked joins", Doc: "readers join loads that a tombstone has blocked, which take a while, and their tag is invalidated",
			Instances: 2, Kinds: kinds{pair(GetOrLoad)}, Ops: ops{{InvalidateTags}, {Mutate}}, Bound: 1, Deaf: true, Tagged: true,
			SlowFlights: true,
		},
		{
			Name: "mutate replayed", Doc: "a failover loses what a Mutate has done so far, which is sent again; another instance loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}}, Bound: 1, Warm: true, Deaf: true,
			Probes: probes{true, true}, Replicated: true, Runs: true,
			Budget: Budget{Crashes: 1, Failovers: 1},
		},
	}
}

// taggedWriteScenarios are about tags under tombstones.
func taggedWriteScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "tag and mutate", Doc: "an instance mutates a tagged value, and may die, another one loads it and invalidates the tag",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Mutate}, {InvalidateTags}}, Bound: 1, Warm: true, Deaf: true, Tagged: true,
			Budget: Budget{Crashes: 1},
		},
		{
			Name: "tag and blocked joins", Doc: "readers join loads that a tombstone has blocked, while their tag is invalidated",
			Instances: 2, Kinds: kinds{pair(GetOrLoad)}, Ops: ops{{InvalidateTags}, {Mutate}}, Bound: 1, Deaf: true, Tagged: true,
		},
		{
			Name: "tag, set and mutate", Doc: "an instance sets a tagged value under the tombstone of another one that mutates and may die, and invalidates the tag",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Mutate}, {Set, InvalidateTags}}, Bound: 1, Serial: true, Deaf: true, Tagged: true,
			Budget: Budget{Crashes: 1},
		},
	}
}
