package sim

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
