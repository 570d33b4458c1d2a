package model

import (
	"fmt"
	"strings"
)

// Trace is a sequence of steps from the beginning.
type Trace struct {
	scenario *Scenario
	steps    []step
}

// Len is the number of steps.
func (t Trace) Len() int { return max(0, len(t.steps)-1) }

// String writes one line for each step: who does what, and what that changes.
func (t Trace) String() string {
	var b strings.Builder
	for k := 1; k < len(t.steps); k++ {
		st := &t.steps[k]
		fmt.Fprintf(&b, "%3d. %-58s", k, st.Action)
		b.WriteString(t.changes(&t.steps[k-1].State, &st.State))
		b.WriteByte('\n')
		if st.Broken != Holds {
			fmt.Fprintf(&b, "     %s\n", st.Broken)
		}
	}
	return b.String()
}

// String says who does what.
func (a Action) String() string {
	who := ""
	name := string(rune('A' + a.Instance))
	switch {
	case a.Kind >= CountTag && a.Kind <= FailTagOver:
	case a.Kind == Tick || a.Kind >= InvalidateOther && a.Kind < Isolate && a.Kind != Repeat:
	case a.Kind >= Arrive && a.Kind <= Accept && a.Kind != Keep, a.Kind >= TakeSnapshot && a.Kind <= GiveUpTags:
		who = fmt.Sprintf("%s reader %d ", name, a.Reader+1)
	default:
		who = name + " "
	}
	text := who + actionTexts[a.Kind]
	switch a.Kind {
	case Tick:
		text = "a tick passes"
	case Hear, HearTag:
		text += fmt.Sprintf(" (%d)", a.Arg)
	case RunLate:
		text += ": " + [...]string{"", "get-or-lease", "fill", "invalidate", "begin", "release", "question for the tag", "InvalidateTags", "Clear", "block", "unblock", "expire", "renewal", "invalidation of the partition"}[a.Arg]
	default:
	}
	return text
}

// changes says what differs between two states, as far as it explains a step.
func (t Trace) changes(old, now *State) string {
	var c []string
	add := func(a, b any, text string) {
		if a != b {
			c = append(c, text)
		}
	}
	add(old.Origin, now.Origin, fmt.Sprintf("origin v%d", now.Origin))
	r := &now.Redis
	add(old.Redis.Seq, r.Seq, fmt.Sprintf("T:s %d", r.Seq))
	add(old.Redis.Ver, r.Ver, fmt.Sprintf("Redis holds %s", version(r.Ver)))
	add(old.Redis.LTok, r.LTok, fmt.Sprintf("key lease %d‖%d", r.LTok, r.LSeq))
	add(old.Guard.Nobodys, now.Guard.Nobodys, fmt.Sprintf("key lease of nobody's, for v%d", now.Guard.Nobodys))
	add(old.Guard.Tomb, now.Guard.Tomb, now.Guard.Tomb.String())
	add(old.Redis.ESeq, r.ESeq, fmt.Sprintf("T:e %d", r.ESeq))
	c = append(c, tagChanges(old, now)...)
	for i := range t.scenario.Instances {
		c = append(c, instanceChanges(i, &old.Instance[i], &now.Instance[i])...)
	}
	return strings.Join(c, ", ")
}

func instanceChanges(i int, old, now *instance) (c []string) {
	name := string(rune('A' + i))
	add := func(a, b uint8, what string) {
		if a != b {
			c = append(c, fmt.Sprintf("%s %s %d", name, what, b))
		}
	}
	add(old.Stripe, now.Stripe, "stripe")
	add(old.Floor, now.Floor, "floor")
	add(old.Last, now.Last, "last")
	add(old.Lease, now.Lease, "lease age")
	add(old.Odd, now.Odd, "rewriting")
	add(old.Queue.Queued, now.Queue.Queued, "pending")
	c = append(c, tagViewChanges(name, &old.Tag, &now.Tag)...)
	if e := &now.Entry; *e != old.Entry {
		c = append(c, fmt.Sprintf("%s L1 %s", name, e))
	}
	for j := range now.Readers {
		r := &now.Readers[j]
		if r.Ver != old.Readers[j].Ver && r.Ver != 0 {
			c = append(c, fmt.Sprintf("it has v%d", r.Ver))
		}
	}
	return c
}

func version(v uint8) string {
	if v == 0 {
		return "nothing"
	}
	return fmt.Sprintf("v%d", v)
}

// String describes a copy.
func (e *entry) String() string {
	m := &e.Mark
	text := fmt.Sprintf("v%d as of %d, age %d", e.Ver, m.AsOf, m.T0)
	switch {
	case e.Ver == 0:
		return "empty"
	case m.Gen == 0:
		text += ", of an earlier generation"
	case m.Void == 0:
		text += ", voided"
	}
	if e.Over == 1 {
		text += ", past its life"
	}
	if m.Barred == 1 {
		text += ", barred"
	}
	if m.Detached == 1 {
		text += ", detached"
	}
	return text
}
