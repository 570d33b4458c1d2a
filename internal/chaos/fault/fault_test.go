package fault_test

import (
	"testing"

	"github.com/doppio-cache/doppio/internal/chaos/fault"
)

func TestCatalogue(t *testing.T) {
	labels := map[string]bool{}
	for _, f := range fault.All() {
		if labels[f.Label] || f.Label == "" || f.Name == "" {
			t.Errorf("fault %q, label %q: neither may be empty, nor the label taken", f.Name, f.Label)
		}
		labels[f.Label] = true
	}
	for _, f := range fault.Short() {
		if !labels[f.Label] {
			t.Errorf("%q of the short form is none of the long form's", f.Label)
		}
	}
}

func TestNamed(t *testing.T) {
	got := fault.Named(fault.All(), []string{"redis KILLED", "storm"})
	if len(got) != 2 || got[0].Label != fault.RedisKilled.Label || got[1].Label != fault.Storm.Label {
		t.Errorf("%d faults: %+v", len(got), got)
	}
}
