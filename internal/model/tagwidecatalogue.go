package model

// tagWideScenarios are about invalidations of the whole of the tag's partition.
func tagWideScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "tag overflow", Doc: "InvalidateTags fails, and the queue is full, so that the whole partition is sent instead",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 1, Tag: TagBudget{Overflows: 1}}, SlowFlights: true, Tagged: true,
		},
		{
			Name: "tag overflow and loads", Doc: "InvalidateTags fails while a load is under way, and the queue is full",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{InvalidateTags}}, Bound: 1,
			Budget: Budget{Timeouts: 1, Tag: TagBudget{Overflows: 1}}, SlowFlights: true, Tagged: true,
		},
		{
			Name: "tag pending and cleared", Doc: "InvalidateTags fails, and so does a Clear of another region",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 1, Tag: TagBudget{Failing: 1}}, SlowFlights: true, Tagged: true,
		},
		{
			Name: "tag and clears", Doc: "an instance invalidates the tag and clears another region twice, of which one Clear fails",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Tag: TagBudget{Sweeps: 1, Failing: 1}}, Tagged: true,
		},
		{
			Name: "tag and clears elsewhere", Doc: "an instance invalidates the tag, another one reads, and one of them clears another region",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Tag: TagBudget{Sweeps: 1}},
		},
	}
}

// longTagWideScenarios are larger forms of them.
func longTagWideScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "long tag overflow", Doc: "InvalidateTags fails, and the queue is full, or a Clear of another region fails; what is sent again may be given up",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 2, Tag: TagBudget{Overflows: 1, Failing: 1}}, Tagged: true,
		},
		{
			Name: "long tag and clears", Doc: "an instance invalidates the tag and clears another region twice, of which one Clear fails; it reads, and probes",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Probes: probes{true}, Budget: Budget{Tag: TagBudget{Sweeps: 1, Failing: 1}}, Tagged: true,
		},
		{
			Name: "long tag overflow and loads", Doc: "InvalidateTags fails twice while a load is under way, and the queue is full at one of them",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{InvalidateTags, InvalidateTags}}, Bound: 1,
			Budget: Budget{Timeouts: 2, Tag: TagBudget{Overflows: 1}}, Tagged: true,
		},
		{
			Name: "long tag and clears elsewhere", Doc: "an instance invalidates the tag, another one reads, and both clear another region, of which one Clear fails",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{1: true}, Tagged: true, Vouched: true,
			Budget: Budget{Tag: TagBudget{Sweeps: 1, Failing: 1}},
		},
		{
			Name: "tag overflow and rewind", Doc: "InvalidateTags fails, the queue is full, and the sequence of the tag's partition goes back",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{InvalidateTags}}, Bound: 1, Warm: true,
			Probes: probes{true}, Tagged: true, TagBegun: 5,
			Budget: Budget{Timeouts: 1, Tag: TagBudget{Rewinds: 1, Overflows: 1}},
		},
	}
}
