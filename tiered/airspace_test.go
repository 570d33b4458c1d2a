package tiered

import (
	"sync"
	"testing"
)

func TestAirspaceKnowsWhoIsStillInTheAir(t *testing.T) {
	const k, other = 1 << 40, 2 << 40
	var a airspace
	first, second := a.takeOff(k), a.takeOff(k)
	third := a.takeOff(other)
	if _, ok := a.takeOffAlone(k); ok {
		t.Error("took off alone beside two others")
	}
	if !first.land() || !second.land() {
		t.Error("two flights of k did not meet, whichever landed first")
	}
	if third.land() {
		t.Error("flights of another key count")
	}
	alone, ok := a.takeOffAlone(k)
	if !ok {
		t.Fatal("could not take off alone")
	}
	if alone.land() {
		t.Error("a flight met one that had landed before")
	}
	around := a.takeOff(k)
	a.takeOff(k).land()
	if !around.land() {
		t.Error("a flight did not meet one that took off and landed meanwhile")
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
