package model

import (
	"strings"
	"testing"
)

func TestTheProtocolHoldsInEveryScenario(t *testing.T) {
	for _, sc := range Scenarios() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			r := sc.Check(Options{Rules: AsBuilt()})
			t.Logf("%d states, %d steps, depth %d, %v", r.States, r.Steps, r.Depth, r.Took)
			if r.Broken != Holds || !r.Complete {
				t.Errorf("%v (all states looked at: %t)\n%s", r.Broken, r.Complete, r.Trace)
			}
		})
	}
}

// What the code leaves open does break something, and the model says what would
// mend it. A hole that is mended in the code moves: its rule to AsBuilt, its
// scenario to the others.
func TestHolesAreThereAndCanBeMended(t *testing.T) {
	for _, h := range Holes() {
		t.Run(h.Scenario.Name, func(t *testing.T) {
			t.Parallel()
			r := h.Scenario.Check(Options{Rules: AsBuilt()})
			if r.Broken != h.Broken {
				t.Errorf("as built: got %v, want %v", r.Broken, h.Broken)
			}
			t.Logf("%v\n%s", r.Broken, r.Trace)
			r = h.Scenario.Check(Options{Rules: AsBuilt().With(h.Mend...), MaxStates: 300_000})
			if r.Broken != Holds {
				t.Errorf("with %v: %v\n%s", h.Mend, r.Broken, r.Trace)
			}
		})
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	all := append(Scenarios(), LongScenarios()...)
	for _, h := range Holes() {
		all = append(all, h.Scenario)
	}
	for _, sc := range all {
		if seen[sc.Name] || sc.Doc == "" || Find(sc.Name) == nil {
			t.Errorf("%q: named twice, not found, or for nothing", sc.Name)
		}
		seen[sc.Name] = true
	}
}

func TestATraceTellsWhoDoesWhat(t *testing.T) {
	r := Find("bound").Check(Options{Rules: AsBuilt().Without(InvalidateRemovesValue)})
	if r.Broken != G2 || r.Trace.Len() == 0 {
		t.Fatalf("got %v after %d steps, want %v", r.Broken, r.Trace.Len(), G2)
	}
	for _, want := range []string{"A commits, then sends the invalidation", "origin v2", "A returns", G2.String()} {
		if !strings.Contains(r.Trace.String(), want) {
			t.Errorf("the trace does not say %q:\n%s", want, r.Trace)
		}
	}
}
