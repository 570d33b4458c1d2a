package load

import (
	"testing"
	"time"
)

// Phases follow each other without a gap, and each fault outlasts the bound of
// the shortest run that is allowed.
func TestSchedule(t *testing.T) {
	const bound = time.Second
	d := MinDuration(bound)
	var end time.Duration
	faults := 0
	for _, p := range schedule(d, 3) {
		if p.From != end || p.To <= p.From {
			t.Errorf("phase %v goes from %v to %v, the one before ended at %v", p, p.From, p.To, end)
		}
		end = p.To
		if p.Fault == None {
			continue
		}
		faults++
		if p.To-p.From <= bound {
			t.Errorf("%v lasts %v, no longer than the bound", p, p.To-p.From)
		}
	}
	if end != d || faults != 2 {
		t.Errorf("ends at %v with %d faults, want %v and 2", end, faults, d)
	}
}

func TestPhaseSaysWhatIsWrong(t *testing.T) {
	for want, p := range map[string]Phase{
		"none":                          {},
		"pub/sub messages are lost":     {Fault: Dropping},
		"instance 3 cut off from Redis": {Fault: CutOff, Instance: 3},
	} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
