package tiered

import (
	"sync"
	"testing"
)

func TestAirspaceKnowsWhoIsStillInTheAir(t *testing.T) {
	const k, other = 1 << 40, 2 << 40
	var a airspace
	a.takeOff(k)
	a.takeOff(k)
	a.takeOff(other)
	if a.takeOffAlone(k) {
		t.Error("took off alone beside two others")
	}
	if !a.land(k) {
		t.Error("one of two flights of k landed, but none was said to be in the air")
	}
	if a.land(k) {
		t.Error("the last flight of k landed, but another was said to be in the air")
	}
	if a.land(other) {
		t.Error("flights of another key count")
	}
	if !a.takeOffAlone(k) || a.takeOffAlone(k) {
		t.Error("just one can take off alone")
	}
}

func TestGateCloseWaitsForAllInsideAndLetsNoneIn(t *testing.T) {
	g := newGate()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for g.enter() {
				g.leave()
			}
		})
	}
	if !g.enter() {
		t.Fatal("an open gate let nobody in")
	}
	g.close()
	g.close() // idempotent
	select {
	case <-g.idle:
		t.Error("idle while somebody is inside")
	default:
	}
	if g.enter() {
		t.Error("a shut gate let somebody in")
	}
	g.leave()
	<-g.idle
	wg.Wait()
}
