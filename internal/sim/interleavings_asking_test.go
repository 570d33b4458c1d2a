package sim

import "slices"

// askingInterleavings are those of loads that ask whether what there was is
// unchanged.
var askingInterleavings = []interleaving{
	{"a Delete while the origin is asked whether a value is unchanged", func(h *history) bool { return h.whileAsked(cmdInvalidate) }},
	{"an Expire while the origin is asked whether a value is unchanged", func(h *history) bool { return h.whileAsked(cmdExpire) }},
	{"what the origin was asked about is gone", goneWhenAnswered},
	{"another value is there than the origin was asked about", anotherWhenAnswered},
	{"a tag invalidated between a lease and the renewal under it", tagWhileAsked},
	{"an instance without Redis asks about what it has", askedAlone},
	{"a value from before a failover is not renewed", formerNotRenewed},
	{"a load ahead of time is told that a value is unchanged", func(h *history) bool { return h.unchanged(aheadOfTime) }},
	{"a load ahead of time is told that a value with a tag is unchanged", func(h *history) bool { return h.unchanged(aheadOfTime, hadTag) }},
	{"a load ahead of time asks about what another instance expires or deletes meanwhile", func(h *history) bool { return h.asked(aheadOfTime, invalidatedMeanwhile) }},
	{"a forced load is told that a value is unchanged", func(h *history) bool { return h.unchanged(wasForced) }},
	{"a forced load is told that a value with a tag is unchanged", func(h *history) bool { return h.unchanged(wasForced, hadTag) }},
	{"a forced load asks about what was expired", func(h *history) bool { return h.asked(wasForced, wasExpired) }},
	{"what was expired is unchanged", func(h *history) bool { return h.unchanged(wasExpired) }},
	{"what was expired, with a tag, is asked about", func(h *history) bool { return h.asked(wasExpired, hadTag) }},
	{"a value is served stale after it was unchanged", staleAfterUnchanged},
	{retries + cmdRevalidate, func(h *history) bool { return h.retried(cmdRevalidate) }},
}

// renewals calls f for each renewal that the server was asked for, with where the
// lease was granted.
func (h *history) renewals(f func(c *command, granted, at int) bool) bool {
	for _, i := range h.names[cmdRevalidate] {
		if c := h.events[i].cmd; f(c, h.granted(c.token), i) {
			return true
		}
	}
	return false
}

// whileAsked: the renewal was refused because of a command that came between it and
// the lease.
func (h *history) whileAsked(name string) bool {
	return h.renewals(func(c *command, granted, at int) bool {
		return c.status() == "refused" && h.any(granted, at, func(_ int, e *event) bool {
			return e.kind == evExecuted && e.cmd.name == name && e.cmd.names(c.keys[0])
		})
	})
}

func goneWhenAnswered(h *history) bool {
	return h.renewals(func(c *command, granted, at int) bool {
		return c.status() == "gone" && h.any(at, len(h.events), func(_ int, e *event) bool {
			return e.kind == evLoad && e.node == c.node && e.load.lease == c.token
		})
	})
}

// anotherWhenAnswered: the last that was done to the key, since the value that was
// asked about was stored, is that another one was, by another node.
func anotherWhenAnswered(h *history) bool {
	return h.renewals(func(c *command, granted, at int) bool {
		if c.status() != "gone" {
			return false
		}
		return h.any(0, granted, func(i int, e *event) bool {
			return e.kind == evExecuted && e.cmd.name == cmdFill && e.node != c.node && e.cmd.names(c.keys[0]) &&
				e.cmd.status() == "stored" && !h.invalidated(c.keys[0], i, at) &&
				!h.any(i, at, func(_ int, f *event) bool {
					return f.kind == evEvicted || f.kind == evFlushed || f.kind == evFailover ||
						f.kind == evExecuted && f.cmd != nil && f.cmd.name == cmdFill && f.cmd.names(c.keys[0])
				})
		})
	})
}

func tagWhileAsked(h *history) bool {
	return h.renewals(func(c *command, granted, at int) bool {
		return c.status() == "stored" && h.any(granted, at, func(_ int, e *event) bool {
			return e.kind == evExecuted && e.cmd.name == cmdInvalidate && len(e.cmd.tags) > 0
		})
	})
}

func askedAlone(h *history) bool {
	for l := range h.loads {
		if l.unchanged && l.lease == "" {
			return true
		}
	}
	return false
}

func formerNotRenewed(h *history) bool {
	return h.renewals(func(c *command, _, at int) bool {
		return c.status() == "gone" && h.any(0, at, func(_ int, e *event) bool { return e.kind == evFailover && e.text == "second" })
	})
}

// of is something that can be said of a load that asks, and that began and ended there.
type of func(h *history, l *load, at [2]int) bool

// asked reports whether there was a load that asked, and of which all this can be said.
func (h *history) asked(all ...of) bool {
	for l, at := range h.loads {
		if l.was != nil && !slices.ContainsFunc(all, func(is of) bool { return !is(h, l, at) }) {
			return true
		}
	}
	return false
}

// unchanged is asked for a load that was told that the value is unchanged.
func (h *history) unchanged(all ...of) bool {
	return h.asked(append(all, func(_ *history, l *load, _ [2]int) bool { return l.unchanged })...)
}

func aheadOfTime(h *history, l *load, at [2]int) bool { return h.aheads[l.key] && h.ahead(l, at[0]) }
func wasForced(_ *history, l *load, _ [2]int) bool    { return l.forced }
func hadTag(_ *history, l *load, _ [2]int) bool       { return len(l.was.tags) > 0 }

func invalidatedMeanwhile(h *history, l *load, at [2]int) bool {
	return h.any(at[0], at[1], func(_ int, e *event) bool {
		return e.kind == evExecuted && e.node != l.node && e.cmd.invalidates() && e.cmd.names(l.key)
	})
}

func wasExpired(h *history, l *load, at [2]int) bool {
	return h.any(l.was.begin, at[0], func(_ int, e *event) bool {
		return e.kind == evExecuted && e.cmd.name == cmdExpire && e.cmd.names(l.key)
	})
}

func staleAfterUnchanged(h *history) bool {
	for c := range h.calls {
		for l, at := range h.loads {
			if c.stale && l.unchanged && l.key == c.key && l.was.id == c.value.id && at[1] < c.begin {
				return true
			}
		}
	}
	return false
}
