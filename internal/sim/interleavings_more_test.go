package sim

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// featureInterleavings are those of what a region may have beyond two tiers.
var featureInterleavings = []interleaving{
	{"a tag invalidated between a load's begin and its fill", tagDuringLoad},
	{"a tag asked for that Redis has forgotten", forgottenTag},
	{"Clear between a load's begin and its fill", clearDuringLoad},
	{"a Delete during a load ahead of time", deleteDuringRefresh},
	{"a batch loaded, one of its keys invalidated meanwhile", deleteDuringBatch},
	{"a second Mutate finds the tombstone of the first", twoMutates},
	{"a node gone between a Mutate's commit and its last invalidation", crashAfterCommit},
	{"a load blocked by a tombstone", blockedLoad},
	{"a Delete during a load that fails where a stale value was at hand", deleteDuringFailure},
	{"a Delete after a soft timeout, before its load ends", deleteAfterSoft},
	{"an Expire between a fill and its retry", expireBetweenFills},
	{"a touch comes when its value has gone", lateTouch},
	{retries + cmdExpire, func(h *history) bool { return h.retried(cmdExpire) }},
	{retries + cmdBlock, func(h *history) bool { return h.retried(cmdBlock) }},
	{retries + cmdUnblock, func(h *history) bool { return h.retried(cmdUnblock) }},
	{retries + cmdTags, func(h *history) bool { return h.retried(cmdTags) }},
	{retries + cmdTouch, func(h *history) bool { return h.retried(cmdTouch) }},
}

// fills calls f for each load with the position and the status of its fill.
func (h *history) fills(f func(l *load, at [2]int, fill int, status string) bool) bool {
	byLease := make(map[string]*load)
	for l := range h.loads {
		if l.lease != "" {
			byLease[l.lease] = l
		}
	}
	for _, i := range h.names[cmdFill] {
		c := h.events[i].cmd
		if l := byLease[c.token]; l != nil && f(l, h.loads[l], i, c.status()) {
			return true
		}
	}
	return false
}

func tagDuringLoad(h *history) bool {
	return h.fills(func(l *load, at [2]int, fill int, status string) bool {
		return status == "stored" && h.any(at[0], fill, func(_ int, e *event) bool {
			return e.kind == evExecuted && e.cmd.name == cmdInvalidate && slices.ContainsFunc(e.cmd.tags, func(tag string) bool {
				return slices.Contains(l.tags, tag)
			})
		})
	})
}

func forgottenTag(h *history) bool {
	gone := make(map[string]bool)
	for _, e := range h.events {
		switch {
		case e.kind == evEvicted && strings.HasPrefix(e.key, tagPrefix):
			gone[e.key] = true
		case e.kind == evExecuted && e.cmd.name == cmdTags && slices.ContainsFunc(e.cmd.tags, func(tag string) bool { return gone[tag] }):
			return true
		}
	}
	return false
}

func clearDuringLoad(h *history) bool {
	return h.fills(func(l *load, at [2]int, fill int, status string) bool {
		region, _ := split(l.key)
		return status == "refused" && h.any(at[0], fill, func(_ int, e *event) bool {
			return e.kind == evExecuted && e.cmd.name == cmdInvalidatePart && slices.Contains(e.cmd.regions, region)
		})
	})
}

// ahead reports whether nobody was waiting for a load when it began.
func (h *history) ahead(l *load, at int) bool {
	if l.set || l.asked {
		return false
	}
	for c, when := range h.calls {
		if c.node == l.node && c.key == l.key && strings.Contains(reads, c.op) && when[0] < at && when[1] > at {
			return false
		}
	}
	return true
}

func deleteDuringRefresh(h *history) bool {
	return h.fills(func(l *load, at [2]int, fill int, status string) bool {
		return status == "refused" && h.invalidated(l.key, at[0], fill) && h.ahead(l, at[0])
	})
}

func deleteDuringBatch(h *history) bool {
	refused, stored := make(map[int]bool), make(map[int]bool)
	return h.fills(func(l *load, at [2]int, fill int, status string) bool {
		if l.batch == 0 {
			return false
		}
		refused[l.batch] = refused[l.batch] || status == "refused" && h.invalidated(l.key, at[0], fill)
		stored[l.batch] = stored[l.batch] || status == "stored"
		return refused[l.batch] && stored[l.batch]
	})
}

func twoMutates(h *history) bool {
	open := make(map[string]string) // by key: the tombstone of a Mutate
	for _, e := range h.events {
		if e.kind != evExecuted || e.cmd.name != cmdBlock && e.cmd.name != cmdUnblock {
			continue
		}
		args := e.cmd.arguments()
		for _, key := range e.cmd.keys {
			switch {
			case args[0] == args[1]: // of an OriginLag
			case e.cmd.name == cmdUnblock && open[key] == args[0]:
				delete(open, key)
			case e.cmd.name == cmdBlock && open[key] != "" && open[key] != args[0]:
				return true
			case e.cmd.name == cmdBlock:
				open[key] = args[0]
			}
		}
	}
	return false
}

func crashAfterCommit(h *history) bool {
	for c, at := range h.calls {
		if c.op != "mutate" || c.from == 0 || c.from < at[0] {
			continue
		}
		for i := c.from; i < at[1]; i++ {
			e := &h.events[i]
			if e.kind == evExecuted && e.cmd.name == cmdUnblock && e.node == c.node && e.cmd.names(c.key) {
				break
			}
			if e.kind == evClose && e.node == c.node {
				return true
			}
		}
	}
	return false
}

func blockedLoad(h *history) bool {
	for _, i := range h.names[cmdGetOrLease] {
		if c := h.events[i].cmd; c.status() == "blocked" && h.any(i, len(h.events), func(_ int, e *event) bool {
			return e.kind == evLoad && e.node == c.node && e.load.key == c.keys[0] && e.load.lease == ""
		}) {
			return true
		}
	}
	return false
}

func deleteDuringFailure(h *history) bool {
	for i, e := range h.events {
		if e.kind != evLoaded || e.text != " failed" {
			continue
		}
		at := h.loads[e.load]
		if h.invalidated(e.load.key, at[0], i) && h.any(i, len(h.events), func(_ int, r *event) bool {
			return r.kind == evReturn && r.node == e.node && r.call.key == e.load.key && errors.Is(r.call.err, errOrigin)
		}) && h.past(e.load.key, at[0]) {
			return true
		}
	}
	return false
}

// past reports whether Redis had a value of a region with StaleFor when a load of
// the key began, which it had read: its life must have been over then.
func (h *history) past(key string, at int) bool {
	for i := at; i > max(0, at-200); i-- {
		if e := &h.events[i]; e.kind == evReplied && e.cmd.name == cmdGet && e.cmd.names(key) {
			_, there := e.cmd.values[key]
			return there && h.stale[key]
		}
	}
	return false
}

func deleteAfterSoft(h *history) bool {
	for l, at := range h.loads {
		if h.any(at[0], at[1], func(i int, e *event) bool {
			return e.kind == evReturn && e.node == l.node && e.call.key == l.key && e.call.stale && h.invalidated(l.key, i, at[1])
		}) {
			return true
		}
	}
	return false
}

func expireBetweenFills(h *history) bool {
	for n, i := range h.names[cmdFill] {
		c := h.events[i].cmd
		for _, j := range h.names[cmdFill][n+1:] {
			d := h.events[j].cmd
			if c.status() == "stored" && bytes.Equal(c.frame, d.frame) && h.any(i, j, func(_ int, e *event) bool {
				return e.kind == evExecuted && e.cmd.name == cmdExpire && e.cmd.names(c.keys[0])
			}) {
				return true
			}
		}
	}
	return false
}

func lateTouch(h *history) bool {
	for _, i := range h.names[cmdTouch] {
		if h.events[i].cmd.status() == "0" {
			return true
		}
	}
	return false
}
