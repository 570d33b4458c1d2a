package model

import "slices"

// tagScenarios are about tags, clearing and batches.
func tagScenarios() []*Scenario {
	return slices.Concat(untagScenarios(), tagJoinScenarios(), tagLossScenarios(), tagWideScenarios(), clearScenarios())
}

// untagScenarios are about invalidations of the tag.
func untagScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "tag bound", Doc: "one instance invalidates a tag, another one reads",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true, Tagged: true, Vouched: true,
			Budget: Budget{Tag: TagBudget{Others: 1}},
		},
		{
			Name: "tag bound and loads", Doc: "one instance invalidates a tag, another one loads, which takes longer than the bound; its probes succeed",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Monotone: true, Tagged: true, Vouched: true,
		},
		{
			Name: "tag fills", Doc: "two instances read, load and invalidate the tag",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{InvalidateTags}, {InvalidateTags}}, Bound: 1,
			Monotone: true, Deaf: true, Tagged: true,
		},
		{
			Name: "tag late", Doc: "two instances read and load, one invalidates the tag; requests run late, or twice",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Deaf: true, Tagged: true,
			Budget: Budget{Timeouts: 1, Repeats: 1},
		},
		{
			Name: "tag set", Doc: "an instance sets a tagged value, another invalidates the tag",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(Get)}, Ops: ops{{Set}, {InvalidateTags}}, Bound: 1, Serial: true,
			Deaf: true, Tagged: true,
		},
		{
			Name: "tag queue", Doc: "InvalidateTags fails and is sent again, while the value in Redis can be read",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags, InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 2}, SlowFlights: true, Tagged: true,
		},
		{
			Name: "tag asked", Doc: "InvalidateTags fails while Redis is asked for the tag",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 1, Tag: TagBudget{Others: 2}}, Tagged: true,
		},
		{
			Name: "tag queue and loads", Doc: "InvalidateTags fails while a load is under way",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{InvalidateTags, InvalidateTags}}, Bound: 1,
			Budget: Budget{Timeouts: 1}, SlowFlights: true, Tagged: true,
		},
	}
}

// tagJoinScenarios are about readers that share a flight, and about batches.
func tagJoinScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "tag joins", Doc: "readers join flights that began before their tag was invalidated",
			Instances: 1, Kinds: kinds{pair(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true, Tagged: true,
			SlowFlights: true,
		},
		{
			Name: "tag joins late", Doc: "readers join flights that take longer than the bound",
			Instances: 2, Kinds: kinds{1: pair(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Deaf: true, Tagged: true, Vouched: true, SlowFlights: true,
		},
		{
			Name: "batch", Doc: "what a batch has read is judged by what Redis has said of the tags before",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 1, Tag: TagBudget{Others: 1}}, SlowFlights: true, Tagged: true, Batch: true,
		},
	}
}

// tagLossScenarios are about what the tag's partition loses.
func tagLossScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "tag lost", Doc: "Redis forgets the tag, or its partition loses the sequence, or everything",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Tag: TagBudget{Evictions: 1, Losses: 1, Flushes: 1}},
		},
		{
			Name: "tag lost and loads", Doc: "the same during loads",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{InvalidateTags}}, Bound: 1,
			Deaf: true, Tagged: true,
			Budget: Budget{Tag: TagBudget{Evictions: 1, Losses: 1, Flushes: 1}},
		},
		{
			Name: "tag rewind", Doc: "the sequence of the tag's partition goes back, and stays below the stamps of before",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Probes: probes{true}, Tagged: true, TagBegun: 5,
			Budget: Budget{Tag: TagBudget{Rewinds: 1}},
		},
		{
			Name: "tag rewind and loads", Doc: "the same during loads",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1,
			Probes: probes{true}, Tagged: true, TagBegun: 5, Deaf: true,
			Budget: Budget{Tag: TagBudget{Rewinds: 1}},
		},
		{
			Name: "tag failover", Doc: "a failover of the tag's partition loses an acknowledged invalidation",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true, SlowFlights: true,
			Budget: Budget{Tag: TagBudget{Failovers: 1}},
		},
		{
			Name: "tag unprobed", Doc: "the same, and then an instance asks for the tag, but its probes of the partition do not succeed",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Tag: TagBudget{Failovers: 1}},
		},
	}
}

// clearScenarios are about clearing a region.
func clearScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "clear", Doc: "one instance clears the region, both read and load",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Clear}, {Clear}}, Bound: 1, Monotone: true,
			Deaf: true,
		},
		{
			Name: "clear bound", Doc: "one instance clears the region, another one reads",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Clear, Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true,
		},
		{
			Name: "clear late", Doc: "an instance clears and reads, another loads; requests run late",
			Instances: 2, Kinds: kinds{one(Get), one(GetOrLoad)}, Ops: ops{{Clear}}, Bound: 1, Warm: true,
			Deaf: true, Budget: Budget{Timeouts: 1},
		},
	}
}

// longTagScenarios are larger forms.
func longTagScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "tag and key", Doc: "one instance invalidates the tag, then deletes the key, another one reads; nothing is known of either partition but what its own probes say",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags, Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true, Tagged: true,
		},
		{
			Name: "long tag bound", Doc: "one instance invalidates a tag twice, another one reads; something else in the tag's partition is invalidated",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags, InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true, Tagged: true, Vouched: true,
			Budget: Budget{Tag: TagBudget{Others: 1}},
		},
		{
			Name: "long tag loads", Doc: "two instances load, one invalidates the tag; messages come",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{InvalidateTags}}, Bound: 1,
			Monotone: true, Tagged: true,
		},
		{
			Name: "long tag queue", Doc: "InvalidateTags fails twice and is sent again; something else in the partition is invalidated",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags, InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 2, Tag: TagBudget{Others: 1}}, SlowFlights: true, Tagged: true,
		},
		{
			Name: "long tag joins", Doc: "readers join flights that began before their tag was invalidated here or elsewhere",
			Instances: 2, Kinds: kinds{pair(Get)}, Ops: ops{{InvalidateTags}, {InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Tagged: true, Vouched: true,
		},
		{
			Name: "long tag flights", Doc: "two readers of an instance meet in the air, while the tag is invalidated elsewhere",
			Instances: 2, Kinds: kinds{{Get, GetOrLoad}, one(GetOrLoad)}, Ops: ops{1: {InvalidateTags}}, Bound: 1, Warm: true,
			Monotone: true, Tagged: true,
			Budget: Budget{Drops: 1},
		},
		{
			Name: "long clear", Doc: "one instance clears, one deletes, one loads, both read; messages come",
			Instances: 2, Kinds: kinds{one(Get), one(GetOrLoad)}, Ops: ops{{Clear}, {Delete}}, Bound: 1, Monotone: true,
		},
		{
			Name: "long batch", Doc: "what a batch has read is judged by what Redis has said of the tags before; two invalidations fail",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags, InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 2, Tag: TagBudget{Others: 1}}, SlowFlights: true, Tagged: true, Batch: true,
		},
		{
			Name: "tag exhausted", Doc: "a queued invalidation of a tag is confirmed while a reader judges a value from Redis, which it must take because it has read again too often",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 1, Others: 2}, SlowFlights: true, Tagged: true,
		},
	}
}
