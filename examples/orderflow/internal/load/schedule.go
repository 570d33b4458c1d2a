package load

import (
	"fmt"
	"time"
)

// Fault is what is wrong with the network to Redis.
type Fault string

// Faults of the schedule.
const (
	None     Fault = ""
	Dropping Fault = "pub/sub messages are lost"
	CutOff   Fault = "cut off from Redis"
)

// Phase is a part of a run.
type Phase struct {
	Fault    Fault
	From, To time.Duration // since the beginning of the run
	Instance int           // that is cut off, counted from 1
}

// String says what is wrong.
func (p Phase) String() string {
	switch p.Fault {
	case None:
		return "none"
	case CutOff:
		return fmt.Sprintf("instance %d %s", p.Instance, p.Fault)
	default:
		return string(p.Fault)
	}
}

// Shares of a run, in percent.
const (
	stampedeAt         = 8
	dropFrom, dropUpTo = 20, 45
	cutFrom, cutUpTo   = 60, 80
)

// schedule divides a run into phases. The faults are far enough apart that what
// one leaves behind can be told from the other.
func schedule(d time.Duration, instances int) []Phase {
	at := func(percent int) time.Duration { return d * time.Duration(percent) / 100 }
	return []Phase{
		{From: 0, To: at(dropFrom)},
		{Fault: Dropping, From: at(dropFrom), To: at(dropUpTo)},
		{From: at(dropUpTo), To: at(cutFrom)},
		{Fault: CutOff, From: at(cutFrom), To: at(cutUpTo), Instance: instances},
		{From: at(cutUpTo), To: d},
	}
}

// MinDuration is the shortest run in which the faults outlast the bound, so
// that a cache that only hopes for messages is found out.
func MinDuration(bound time.Duration) time.Duration { return max(6*bound, time.Second) }
