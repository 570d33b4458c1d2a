package model

import "fmt"

// tagChanges says what a step has changed of the tag in Redis.
func tagChanges(old, now *State) (c []string) {
	if old.Tag.Seq != now.Tag.Seq {
		c = append(c, fmt.Sprintf("tag's T:s %d", now.Tag.Seq))
	}
	if old.Tag.Tag != now.Tag.Tag {
		c = append(c, fmt.Sprintf("T:t %d", now.Tag.Tag))
	}
	if old.Tag.All != now.Tag.All {
		c = append(c, fmt.Sprintf("T:c of all tags %d", now.Tag.All))
	}
	if old.Redis.VTag != now.Redis.VTag {
		c = append(c, fmt.Sprintf("stamped %d", now.Redis.VTag))
	}
	if old.Redis.Clear != now.Redis.Clear {
		c = append(c, fmt.Sprintf("T:c %d", now.Redis.Clear))
	}
	return c
}

// tagViewChanges says what it has changed of what an instance knows.
func tagViewChanges(name string, old, now *tagView) (c []string) {
	add := func(a, b uint8, what string) {
		if a != b {
			c = append(c, fmt.Sprintf("%s tag's %s %d", name, what, b))
		}
	}
	add(old.Stripe, now.Stripe, "stripe")
	add(old.Floor, now.Floor, "floor")
	add(old.Last, now.Last, "last")
	add(old.Lease, now.Lease, "lease age")
	add(old.Queue.Queued, now.Queue.Queued, "pending")
	add(old.Wide.Queued, now.Wide.Queued, "partition's pending")
	return c
}
