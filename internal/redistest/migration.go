package redistest

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Migration is the move of a slot from one master to another, step by step as
// redis-cli does it. While it lasts the keys of the slot are spread over both.
type Migration struct {
	c        *Cluster
	Slot     int
	From, To *Host
}

// Migrate begins to move a slot: the new master answers for it to those that
// the old one sends (ASK).
func (c *Cluster) Migrate(tb testing.TB, slot int, to *Host) *Migration {
	tb.Helper()
	m := &Migration{c: c, Slot: slot, From: c.Owner(tb, slot), To: to}
	if m.From == nil || m.From == to {
		tb.Fatalf("redistest: slot %d cannot move from %v to %v", slot, m.From, to)
	}
	to.command(tb, "CLUSTER", "SETSLOT", slot, "IMPORTING", m.From.id(tb))
	m.From.command(tb, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.id(tb))
	return m
}

// Keys are the keys of the slot that have not been moved yet.
func (m *Migration) Keys(tb testing.TB) []string {
	tb.Helper()
	var keys []string
	list, _ := m.From.command(tb, "CLUSTER", "GETKEYSINSLOT", m.Slot, 1<<20).([]any)
	for _, k := range list {
		if s, ok := k.(string); ok {
			keys = append(keys, s)
		}
	}
	return keys
}

// Move moves single keys. One that is gone meanwhile is none to be moved.
func (m *Migration) Move(tb testing.TB, keys ...string) {
	tb.Helper()
	for _, k := range keys {
		m.From.command(tb, "MIGRATE", "127.0.0.1", m.To.publicPort(), k, 0, 5000, "REPLACE")
	}
}

// Finish moves what is left, until nothing is, and makes the new master the
// owner of the slot: first for itself, so that there is no moment without an
// owner, then for all others.
func (m *Migration) Finish(tb testing.TB) {
	tb.Helper()
	for keys := m.Keys(tb); len(keys) > 0; keys = m.Keys(tb) {
		m.Move(tb, keys...)
	}
	id := m.To.id(tb)
	m.To.command(tb, "CLUSTER", "SETSLOT", m.Slot, "NODE", id)
	m.From.command(tb, "CLUSTER", "SETSLOT", m.Slot, "NODE", id)
	for _, h := range m.c.all {
		if h != m.To && h != m.From && h.clusterInfo(tb)["cluster_state"] == "ok" {
			// A replica refuses: it hears it from its master.
			_ = h.try(tb.Context(), "CLUSTER", "SETSLOT", m.Slot, "NODE", id).Err()
		}
	}
}

// MoveAll moves all slots of a master to another one: those with keys one after
// the other, then the others at once.
func (c *Cluster) MoveAll(tb testing.TB, from, to *Host) {
	tb.Helper()
	var empty []any
	admin := from.Client(tb)
	for _, slot := range from.ownSlots(tb) {
		if n := admin.ClusterCountKeysInSlot(tb.Context(), slot).Val(); n > 0 {
			c.Migrate(tb, slot, to).Finish(tb)
		} else {
			empty = append(empty, slot)
		}
	}
	id := to.id(tb)
	for _, h := range append([]*Host{to, from}, c.all...) {
		admin := h.Client(tb)
		_, err := admin.Pipelined(tb.Context(), func(pipe redis.Pipeliner) error {
			for _, slot := range empty {
				pipe.Do(tb.Context(), "CLUSTER", "SETSLOT", slot, "NODE", id)
			}
			return nil
		})
		if err != nil && h.IsPrimary(tb) { // a replica refuses, and hears it from its master
			tb.Fatalf("redistest: move of empty slots at %s: %v", h.Addr(), err)
		}
	}
}

// ownSlots are the slots that the node takes for its own.
func (h *Host) ownSlots(tb testing.TB) (own []int) {
	tb.Helper()
	for line := range strings.Lines(h.nodes(tb)) {
		f := strings.Fields(line)
		if len(f) <= 8 || !strings.Contains(f[2], "myself") {
			continue
		}
		for slot := range slots {
			if hasSlot(f[8:], slot) {
				own = append(own, slot)
			}
		}
	}
	return own
}
