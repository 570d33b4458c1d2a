// Package linear checks histories of one key for linearizability: many callers
// read and write it at once, each call is noted with its begin and its end, and
// porcupine looks for an order of all calls that explains every answer.
//
// # What is checked
//
// A key is a register whose newest version the origin decides. Its writes
// (commit, then Delete or Set) come one after the other, because Doppio does
// not order concurrent Sets; reads run beside them, at any moment. On one node
// G1a and G3 together are just that: a read that begins after a write returned
// sees it, and once a version was seen no later read sees an older one.
//
// Between nodes it holds for reads with BypassL1 (a bound D of 0), and is
// checked for values that live in Redis alone as strictly as for a plain
// register: also that a stored value is there.
//
// # What is not known
//
// A call that failed may have happened, now, later or never. It is noted
// without an end, so that the checker may place it anywhere after its begin. A
// write that is placed after a newer one changes nothing: the origin has
// ordered them. Under faults a read that went to the origin may be ahead of the
// tiers, and need only not be behind them; and that a key is in no tier says
// nothing.
package linear
