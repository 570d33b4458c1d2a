package model

// The tag of the key's value. It is in a partition of its own, with a sequence of
// its own, on a master that need not be the key's. What a scenario without
// [Scenario].Tagged has of all this stays zero.

// tagRedis is the partition of the tag.
type tagRedis struct {
	tagPrimary
	Replica tagPrimary // what a failover would bring to power
	Top     uint8      // highest number that there ever was
	Run     uint8      // run id

	Messages tagMessages
	Acks     uint8 // bit k: version k was confirmed by InvalidateTags
}

type tagPrimary struct {
	Seq        uint8
	Tag        uint8 // T:t:<tag>: number of the last invalidation; 0: Redis does not know the tag
	All        uint8 // T:c: without a region: number of the last invalidation of all tags
	ERun, ESeq uint8 // the epoch, as in redis
	EId, EAge  uint8
}

// tagMessages are the announcements, as [messages] are.
type tagMessages struct {
	Tag   uint16 // bit s: invalidation s of the tag
	Other uint16 // of something else in its partition
	Whole uint16 // of the whole partition, which names nothing
}

// tagMark is what a copy carries of the tag, and a snapshot. Of a stamp before a
// question to Redis it has no number yet.
type tagMark struct {
	Gen, Void uint8 // as in mark
	AsOf      uint8 // number that it includes; 0: none, it is never valid
	T0        uint8 // age
}

// tagView is what an instance knows of the tag's partition.
type tagView struct {
	Stripe, Floor, Last uint8
	Lease               uint8 // age
	Rewound             uint8 // no probe that was sent since the stripes were emptied has confirmed the partition
	Run, Epoch, EId     uint8 // what the prober knows, as in instance
	Probe               tagProber
	Queue               queue
	Since               position // of the writer's invalidation
	Wide                wide     // what is queued for the whole partition
	Sweep               sweep    // a Clear of another region
}

type tagProber struct {
	PC      pc
	T0      uint8 // age
	Before  uint8
	Seq     uint8
	Created uint8
	Run     uint8
	ESeq    uint8
	EId     uint8
	Former  uint8 // the stripes were emptied after it was sent
}

// tagReader is what a flight has to do with the tag.
type tagReader struct {
	Mark  tagMark // of what it brings, or the snapshot for it
	Stamp uint8   // of the value that Redis has answered with
	Known uint8   // the mark is complete
	Asked uint8   // whether an invalidation of the tag was pending, if asked too early
	Last  uint8   // nothing comes after the question to Redis
	Not   uint8   // Redis has said, or cannot say, that the tag was not invalidated
}

// TagBudget is how often something may happen to the tag's partition.
type TagBudget struct {
	Others    uint8 // invalidations of something else there
	Evictions uint8 // of the tag's number
	Losses    uint8 // of the sequence alone
	Flushes   uint8 // of all that the partition has
	Rewinds   uint8 // the same, and the sequence begins anew at a low number
	Failovers uint8
	Overflows uint8 // invalidations that find the retry queue full
	Sweeps    uint8 // Clears of another region
	Failing   uint8 // Clears of another region that never reach Redis
}

// eachTagMark calls f for everything on an instance that carries a generation and
// a count of voidings of the tag's partition.
//
//go:norace
func (in *instance) eachTagMark(f func(*tagMark)) {
	f(&in.Entry.Tag)
	f(&in.Writer.Tag)
	for j := range in.Readers {
		f(&in.Readers[j].Tag.Mark)
		f(&in.Readers[j].Ask.Tag)
	}
}

// initialTags is where everything begins: everybody has heard the tag's last
// invalidation, and the value in Redis is from after it.
//
//go:norace
func (g *generator) initialTags(s *State) {
	if !g.Tagged {
		return
	}
	begun := max(1, g.TagBegun)
	s.Tag = tagRedis{tagPrimary: tagPrimary{Seq: begun, Tag: begun, ERun: 1, EId: 1}, Top: begun, Run: 1}
	if s.Left.Tag.Failovers > 0 {
		s.Tag.Replica = s.Tag.tagPrimary
	}
	if s.Redis.Ver != 0 {
		s.Redis.VTag = begun
	}
	for i := range g.Instances {
		s.Instance[i].Tag = tagView{Stripe: begun, Floor: 1, Last: begun, Run: 1, EId: 1}
	}
}

// canonicalTags forgets what makes no difference any more.
//
//go:norace
func (g *generator) canonicalTags(s *State) {
	if s.Redis.Ver == 0 {
		s.Redis.VTag = 0
	}
	if !g.Tagged {
		return
	}
	for i := range g.Instances {
		in := &s.Instance[i]
		if in.Entry.Ver != 0 && !g.tagPasses(&in.Tag, &in.Entry.Tag) && g.on(UnchangedTagsAreVouched) {
			in.Entry = entry{}
		}
	}
}

// ageTags lets a tick pass.
//
//go:norace
func (g *generator) ageTags(in *instance, age func(*uint8)) {
	if !g.Tagged {
		return
	}
	age(&in.Tag.Lease)
	if in.Tag.Probe.PC != idle {
		age(&in.Tag.Probe.T0)
	}
	in.eachTagMark(func(m *tagMark) {
		if *m != (tagMark{}) {
			age(&m.T0)
		}
	})
}

// ageEpoch lets a tick pass for an epoch that began with a failover.
//
//go:norace
func (g *generator) ageEpoch(t *tagPrimary) {
	if t.ESeq > 0 {
		t.EAge = min(t.EAge+1, g.recovered())
	}
}

// tagRecovered reports whether the fleet has recovered from a failover of the tag's
// partition.
//
//go:norace
func (g *generator) tagRecovered(s *State) bool {
	return g.Tagged && s.Tag.EAge >= g.recovered() && s.Tag.ERun == s.Tag.Run
}
