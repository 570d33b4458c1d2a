package oracle_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/oracle"
)

const bound = time.Second

// at is a time on the tests' clock, in milliseconds.
func at(ms int) time.Time { return time.UnixMilli(int64(1_000_000 + ms)) }

func TestJudge(t *testing.T) {
	confirmed := func(version int64, ms int) oracle.Change {
		return oracle.Change{Product: 1, Version: version, Instance: 1, Answered: at(ms)}
	}
	pending := func(version int64, ms int) oracle.Change {
		c := confirmed(version, ms)
		c.Pending = true
		return c
	}
	read := func(version int64, ms int) oracle.Read {
		return oracle.Read{Product: 1, Version: version, Instance: 2, Began: at(ms)}
	}
	tests := map[string]struct {
		changes   []oracle.Change
		read      oracle.Read
		tooOld    bool
		worst     time.Duration
		worstOfIt time.Duration
	}{
		"no change":                    {read: read(1, 5000)},
		"shows the change":             {changes: []oracle.Change{confirmed(2, 0)}, read: read(2, 5000)},
		"began before the change":      {changes: []oracle.Change{confirmed(2, 100)}, read: read(1, 50)},
		"old, but within the bound":    {changes: []oracle.Change{confirmed(2, 0)}, read: read(1, 1000), worst: bound, worstOfIt: bound},
		"older than the bound":         {changes: []oracle.Change{confirmed(2, 0)}, read: read(1, 1001), tooOld: true, worst: 1001 * time.Millisecond, worstOfIt: 1001 * time.Millisecond},
		"between two versions":         {changes: []oracle.Change{confirmed(2, 0), confirmed(3, 900)}, read: read(2, 1500), worst: 600 * time.Millisecond, worstOfIt: 600 * time.Millisecond},
		"missed the first of two":      {changes: []oracle.Change{confirmed(2, 0), confirmed(3, 1400)}, read: read(1, 1500), tooOld: true, worst: 1500 * time.Millisecond, worstOfIt: 1500 * time.Millisecond},
		"answers overtook each other":  {changes: []oracle.Change{confirmed(3, 10), confirmed(2, 20)}, read: read(2, 1015), tooOld: true, worst: 1005 * time.Millisecond, worstOfIt: 1005 * time.Millisecond},
		"unconfirmed starts no bound":  {changes: []oracle.Change{pending(2, 0)}, read: read(1, 9000), worstOfIt: 9 * time.Second},
		"a later confirmed one starts": {changes: []oracle.Change{pending(2, 0), confirmed(3, 100)}, read: read(1, 2000), tooOld: true, worst: 1900 * time.Millisecond, worstOfIt: 2 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := oracle.New(bound)
			for _, c := range tt.changes {
				o.Changed(c)
			}
			o.Judge(tt.read)
			v := o.Verdict()
			if got := v.TooOld == 1; got != tt.tooOld {
				t.Errorf("too old: %v, want %v", got, tt.tooOld)
			}
			if v.Worst != tt.worst || v.WorstOfAll != tt.worstOfIt {
				t.Errorf("worst %v, of all %v; want %v, %v", v.Worst, v.WorstOfAll, tt.worst, tt.worstOfIt)
			}
			if (v.First != "") != tt.tooOld {
				t.Errorf("first: %q", v.First)
			}
		})
	}
}

// A change that was pending counts from when its instance had nothing left to
// send, and only if it had been answered when that was asked.
func TestDrained(t *testing.T) {
	o := oracle.New(bound)
	o.Changed(oracle.Change{Product: 1, Version: 2, Instance: 1, Answered: at(0), Pending: true})
	o.Changed(oracle.Change{Product: 2, Version: 2, Instance: 1, Answered: at(150), Pending: true})
	o.Changed(oracle.Change{Product: 3, Version: 2, Instance: 2, Answered: at(0), Pending: true})

	o.Drained(1, at(100), at(200))
	for product, late := range map[int64]bool{1: true, 2: false, 3: false} {
		before := o.Verdict().TooOld
		o.Judge(oracle.Read{Product: product, Version: 1, Began: at(1200)})
		if o.Verdict().TooOld != before {
			t.Errorf("product %d: too old one bound after its confirmation", product)
		}
		o.Judge(oracle.Read{Product: product, Version: 1, Began: at(1201)})
		if got := o.Verdict().TooOld != before; got != late {
			t.Errorf("product %d: too old %v, want %v", product, got, late)
		}
	}
	if !o.HasPending(1) || !o.HasPending(2) {
		t.Error("a change answered after the question was taken for confirmed")
	}
	o.Drained(1, at(300), at(300))
	if o.HasPending(1) {
		t.Error("still pending")
	}
}

// A list is one answer, however many of its products are too old.
func TestJudgeCountsAnswers(t *testing.T) {
	o := oracle.New(bound)
	o.Changed(oracle.Change{Product: 1, Version: 2, Answered: at(0)})
	o.Changed(oracle.Change{Product: 2, Version: 2, Answered: at(0)})
	o.Judge(
		oracle.Read{Product: 1, Version: 1, Began: at(5000)},
		oracle.Read{Product: 2, Version: 1, Began: at(5000)},
		oracle.Read{Product: 3, Version: 1, Began: at(5000)},
	)
	if v := o.Verdict(); v.Reads != 1 || v.TooOld != 1 || v.Changes != 2 {
		t.Errorf("verdict %+v, want 1 read, 1 too old, 2 changes", v)
	}
}
