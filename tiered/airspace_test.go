package tiered

import (
	"sync"
	"testing"
)

func TestAirspaceKnowsWhoIsStillInTheAir(t *testing.T) {
	var a airspace
	a.takeOff("k")
	a.takeOff("k")
	a.takeOff("other")
	if !a.land("k") {
		t.Error("one of two flights of k landed, but none was said to be in the air")
	}
	if a.land("k") {
		t.Error("the last flight of k landed, but another was said to be in the air")
	}
	if a.land("other") {
		t.Error("flights of another key count")
	}
	if len(a.flights) != 0 {
		t.Errorf("%d keys are remembered with nothing in the air", len(a.flights))
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
