package tiered

import "iter"

// Cached are the keys and values that this instance's L1 would answer with now,
// in no order. It is for people who look for something: it looks at all of L1, of
// all regions, before it yields the first value. Negative entries are left out.
// Without an L1, and on a closed node, there is nothing.
//
// It holds no lock while it yields, and a value is looked at once more before
// it is yielded: none was invalidated, or past its life, at that moment. What has
// come since the iteration began may be missing.
//
// It counts no hits, keeps no sliding value alive and starts no refresh. To
// Ristretto's admission policy it is one reading of each key.
func (r *Region[V]) Cached() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if r == nil || !r.core.usesL1() {
			return
		}
		core := r.core
		for _, e := range core.node.l1.Entries(core.l1) {
			found, now := core.node.l1.Find(core.l1, e.Mark.Hash, e.Key)
			if found == nil || !found.Alive(now) || found.Negative {
				continue
			}
			v, _ := found.Value.(V)
			if r.clone != nil {
				v = r.clone(v)
			}
			if !yield(found.Key, v) {
				return
			}
		}
	}
}
