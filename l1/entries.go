package l1

// Entries returns the entries of a region that may be served now, whatever is
// left of their lives, in no order. It looks at all that the cache holds, region
// by region or not, so it is for people who look for something, not for serving.
//
// It counts as no access. Ristretto holds the lock of one part of its store at a
// time meanwhile, of 256; what is put or evicted meanwhile may be among the
// entries or not.
func (c *Cache) Entries(r *Region) []*Entry {
	cell := c.guard.enter()
	if cell == nil {
		return nil
	}
	var entries []*Entry
	c.store.IterValues(func(s slot) (stop bool) {
		if s.entry.Region == r {
			entries = append(entries, s.entry)
		}
		return false
	})
	cell.leave()
	valid := entries[:0]
	for _, e := range entries {
		at := c.fences.Moment(e.Mark.Hash)
		if c.fences.ValidAt(&e.Mark, &at) && c.fences.ValidTags(e.Tags, at.Now) {
			valid = append(valid, e)
		}
	}
	clear(entries[len(valid):])
	return valid
}
