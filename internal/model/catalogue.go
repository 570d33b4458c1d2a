package model

import "slices"

type (
	kinds  = [maxInstances][maxReaders]Kind
	probes = [maxInstances]bool
	ops    = [maxInstances][]Op
)

// Scenarios returns the scenarios that are small enough for every run of the
// tests.
func Scenarios() []*Scenario {
	return slices.Concat(boundScenarios(), fillScenarios(), flightScenarios(), lossScenarios(), writeScenarios(), lifeScenarios(), askScenarios(), askMoreScenarios(), tagScenarios(), lostScenarios(), taggedWriteScenarios())
}

// boundScenarios are about one instance that misses what another one does.
func boundScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "bound", Doc: "one instance deletes twice, another one reads",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete, Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true,
		},
		{
			Name: "gap", Doc: "an invalidation of another key comes between",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true,
			Budget: Budget{Others: 1},
		},
		{
			Name: "loads", Doc: "one instance deletes, another one loads, which takes longer than the bound",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true,
		},
		{
			Name: "alone", Doc: "an instance loads without Redis for a while",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Absences: 1},
		},
		{
			Name: "steps", Doc: "what is loaded and stored one after the other is so, without locks",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true,
			FineReads: true, FineHears: true, Unlocked: true,
			Budget: Budget{Others: 1},
		},
	}
}

// fillScenarios are about what gets into Redis.
func fillScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "fills", Doc: "two instances read, load and delete",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Delete}, {Delete}}, Bound: 1,
			Monotone: true, Deaf: true,
		},
		{
			Name: "twice", Doc: "two instances read and load, one deletes; a request runs twice",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1,
			Monotone: true, Deaf: true,
			Budget: Budget{Repeats: 1},
		},
		{
			Name: "late", Doc: "two instances read and load, one deletes; requests run late",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1,
			Deaf:   true,
			Budget: Budget{Timeouts: 1},
		},
		{
			Name: "leases", Doc: "a key lease ends, and one is released late",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1,
			Releases: true, Deaf: true,
			Budget: Budget{Expiries: 1},
		},
		{
			Name: "set", Doc: "an instance sets, another deletes, both read",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Set}, {Delete}}, Bound: 1, Serial: true,
			Monotone: true, Deaf: true,
		},
		{
			Name: "set and bound", Doc: "an instance sets and reads, another deletes meanwhile",
			Instances: 2, Kinds: kinds{one(Get)}, Ops: ops{{Set}, {Delete}}, Bound: 1, Serial: true,
			Ticks: true, Timely: true, Probes: probes{true},
		},
		{
			Name: "set and queue", Doc: "an instance sets while a Delete of it fails",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{Set}}, Bound: 1, Serial: true,
			Budget: Budget{Failing: 1},
		},
		{
			Name: "set late", Doc: "an instance sets, another deletes; a request runs late",
			Instances: 2, Kinds: kinds{one(Get)}, Ops: ops{{Set}, {Delete}}, Bound: 1, Serial: true, Deaf: true,
			Budget: Budget{Repeats: 1, Timeouts: 1},
		},
	}
}

// flightScenarios are about what happens inside of one instance.
func flightScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "queue", Doc: "Deletes fail and are sent again, while the value in Redis can be read",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{Delete, Delete}}, Bound: 1, Warm: true,
			Budget: Budget{Timeouts: 2}, SlowFlights: true,
		},
		{
			Name: "queue and loads", Doc: "a Delete fails while a load is under way",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Delete, Delete}}, Bound: 1,
			Budget: Budget{Timeouts: 1}, SlowFlights: true,
		},
		{
			Name: "queued again", Doc: "a Delete fails while an earlier one is sent again",
			Instances: 2, Kinds: kinds{one(Get), one(GetOrLoad)}, Bound: 1, Deaf: true,
			Budget: Budget{Failing: 2},
		},
		{
			Name: "regained", Doc: "readers join a flight that has found the value in L1",
			Instances: 2, Kinds: kinds{pair(Get)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true,
			Ticks: true, SlowFlights: true,
		},
		{
			Name: "flights", Doc: "two readers of an instance join, or meet in the air",
			Instances: 2, Kinds: kinds{{Get, GetOrLoad}}, Ops: ops{1: {Set, Set}}, Bound: 1, Warm: true, Serial: true,
			Monotone: true,
			Budget:   Budget{Drops: 1},
		},
		{
			Name: "forced", Doc: "two readers of an instance meet in the air while another one forces a load",
			Instances: 2, Kinds: kinds{{Get, GetOrLoad}, one(Force)}, Bound: 1, Ops: ops{1: {Delete}}, Warm: true,
			Monotone: true,
			Budget:   Budget{Forces: 1},
		},
		{
			Name: "joins", Doc: "readers join flights that take longer than the bound",
			Instances: 2, Kinds: kinds{pair(Get)}, Ops: ops{1: {Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{true},
		},
	}
}

// lossScenarios are about what Redis loses.
func lossScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "flush", Doc: "Redis loses the sequence, or everything",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Losses: 1, Flushes: 1},
		},
		{
			Name: "flush and loads", Doc: "Redis loses everything, or evicts the value, during loads",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Deaf:   true,
			Budget: Budget{Flushes: 1, Evictions: 1},
		},
		{
			Name: "rewind", Doc: "the sequence goes back, and stays below what was heard; nothing else tells that it was lost",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Rewinds: 1}, Begun: 3, RewindFrom: 3, RecordStays: true,
		},
		{
			Name: "own rewind", Doc: "the sequence goes back, and who deletes finds out first",
			Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Budget: Budget{Others: 2, Rewinds: 1}, RewindFrom: 3,
		},
		{
			Name: "confirmed late", Doc: "an invalidation is confirmed after the sequence that it counted in is lost",
			Instances: 1, Kinds: kinds{one(GetOrLoad)}, Ops: ops{{Delete, Delete}}, Bound: 1,
			Probes: probes{true},
			Budget: Budget{Rewinds: 1, Absences: 1}, Begun: 3, RewindFrom: 4,
		},
		{
			Name: "rewind steps", Doc: "the stripes are rewritten while others read",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, FineReads: true, FineStamps: true, FineRewinds: true,
			Budget: Budget{Rewinds: 1}, RewindFrom: 2,
		},
		{
			Name: "catches up", Doc: "the sequence goes back, and has reached the number last heard before anybody probes",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Others: 1, Rewinds: 1}, RewindFrom: 2,
		},
		{
			Name: "isolated", Doc: "an instance is left behind with an old primary that refuses writes, and answers reads",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Runs: true,
			Budget: Budget{Isolates: 1},
		},
		{
			Name: "straggler", Doc: "some connections of an instance are still to an old primary, which answers reads",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Runs: true, Straggles: true,
			Budget: Budget{Isolates: 1},
		},
		{
			Name: "failover", Doc: "a failover loses acknowledged writes, which nobody remembers",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{true, true}, Replicated: true, Runs: true, Forgetful: true,
			Budget: Budget{Failovers: 1},
		},
	}
}

// LongScenarios returns those that take longer.
func LongScenarios() []*Scenario {
	return slices.Concat(primaryScenarios(), longScenarios(), longLifeScenarios(), longAskScenarios(), longAskMoreScenarios(), longWriteScenarios(), longTagScenarios(), longTagWideScenarios(), longLostScenarios())
}

// primaryScenarios are about primaries that are replaced.
func primaryScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "long failover", Doc: "a failover loses acknowledged writes, which are replayed",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Timely: true, Probes: probes{true, true}, Replicated: true, Runs: true,
			Budget: Budget{Failovers: 1},
		},
		{
			Name: "unprobed", Doc: "after a failover that has lost a Delete an instance reads, but its probes do not succeed",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{true, true}, Replicated: true, Runs: true,
			Budget: Budget{Failovers: 1},
		},
		{
			Name: "isolated loads", Doc: "an instance is left behind with an old primary, and loads",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Runs: true,
			Budget: Budget{Isolates: 1},
		},
		{
			Name: "straggler loads", Doc: "the same with some of its connections",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Runs: true, Straggles: true,
			Budget: Budget{Isolates: 1},
		},
		{
			Name: "long straggler", Doc: "some connections of an instance are still to an old primary, which answers reads; two Deletes",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete, Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, Runs: true, Straggles: true,
			Budget: Budget{Isolates: 1},
		},
	}
}

// longScenarios are larger forms of the ordinary ones.
func longScenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "joins and loads", Doc: "readers join loads that take longer than the bound",
			Instances: 2, Kinds: kinds{pair(GetOrLoad)}, Ops: ops{1: {Delete}}, Bound: 1,
			Ticks: true, Probes: probes{true},
		},
		{
			Name: "long loads", Doc: "one instance deletes twice, another one loads, which takes longer than the bound",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete, Delete}}, Bound: 1,
			Ticks: true, Probes: probes{1: true}, Monotone: true,
		},
		{
			Name: "late loads", Doc: "one instance deletes, another one loads, and one call is given up",
			Instances: 2, Kinds: kinds{1: one(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1,
			Ticks: true, Probes: probes{1: true},
			Budget: Budget{Timeouts: 1},
		},
		{
			Name: "long bound", Doc: "the bound is two ticks, and two invalidations of another key come between",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 2, Warm: true,
			Ticks: true, Probes: probes{1: true}, Monotone: true,
			Budget: Budget{Others: 2},
		},
		{
			Name: "long fills", Doc: "two instances load and delete; a request runs twice",
			Instances: 2, Kinds: kinds{one(GetOrLoad), one(GetOrLoad)}, Ops: ops{{Delete}, {Delete}}, Bound: 1,
			Deaf: true, Budget: Budget{Repeats: 1},
		},
		{
			Name: "three", Doc: "three instances load, two of them delete",
			Instances: 3, Kinds: kinds{one(GetOrLoad), one(GetOrLoad), one(Get)}, Ops: ops{{Delete}, {Delete}}, Bound: 1,
			Deaf: true, Monotone: true,
		},
		{
			Name: "three and bound", Doc: "one instance deletes, one loads, one reads within the bound",
			Instances: 3, Kinds: kinds{1: one(GetOrLoad), 2: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{2: true},
		},
		{
			Name: "rewind joins", Doc: "readers join flights that began before the sequence went back",
			Instances: 2, Kinds: kinds{1: pair(GetOrLoad)}, Ops: ops{{Delete}}, Bound: 1,
			Ticks: true, Timely: true, Probes: probes{1: true}, FineStamps: true,
			Budget: Budget{Rewinds: 1}, Begun: 3, RewindFrom: 3,
		},
		{
			Name: "long set", Doc: "an instance sets, another deletes, one reads and hears of it; a request runs late, one twice",
			Instances: 2, Kinds: kinds{one(Get)}, Ops: ops{{Set}, {Delete}}, Bound: 1, Serial: true,
			Budget: Budget{Repeats: 1, Timeouts: 1},
		},
		{
			Name: "long rewind", Doc: "the sequence goes back, and probes are slow",
			Instances: 2, Kinds: kinds{1: one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
			Ticks: true, Probes: probes{1: true}, SlowProbes: true,
			Budget: Budget{Others: 2, Rewinds: 1}, RewindFrom: 3,
		},
	}
}

// Hole is a gap in the protocol that the code has still, and that the assumptions
// of the guarantees exclude: a scenario in which one breaks, and the rules that
// would mend it.
type Hole struct {
	Scenario *Scenario
	Broken   Property
	Mend     []Rule
}

// Holes returns the gaps that are known.
func Holes() []Hole {
	return []Hole{
		{
			&Scenario{
				Name: "unheard", Doc: "the server's clock is set back while its data is lost, and before any probe a Delete gets a number that was read already; the assumptions exclude it",
				Instances: 1, Kinds: kinds{one(Get)}, Ops: ops{{Delete}}, Bound: 1, Warm: true,
				Budget: Budget{Others: 2, Rewinds: 1}, RewindFrom: 3, Unheard: true,
			}, G1a, []Rule{DeleteVoids},
		},
	}
}
