package fault

import "time"

// slowLoad is how much longer a load takes while the origin is slow: much longer
// than the soft timeout.
const slowLoad = 500 * time.Millisecond

// The faults of the origin. Commits go on, and so do invalidations: what is
// served past its life must not be what was deleted.
var (
	// OriginDown makes all loads fail, for longer than values may be served stale.
	OriginDown = Fault{Name: "the origin's loads fail, commits go on", Label: "origin down", Features: true, run: func(b *breaker) {
		b.OriginDown(true)
		b.wait(b.hold)
		b.OriginDown(false)
	}}

	// OriginSlow makes all loads slow, for so long that all short lives end.
	OriginSlow = Fault{Name: "the origin's loads take 500 ms longer, commits go on", Label: "origin slow", Features: true, run: func(b *breaker) {
		b.OriginSlow(slowLoad)
		b.wait(2 * b.hold)
		b.OriginSlow(0)
	}}
)
