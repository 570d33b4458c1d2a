package tieredtest

import (
	"errors"
	"testing"

	"github.com/doppio-cache/doppio/tiered"
)

// testInfo is about what every cache tells: a call writes its Info, whatever was in
// there before.
func testInfo(t *testing.T, c tiered.Cache[string]) {
	info := tiered.Info{Source: tiered.SourceL2, Remaining: 1, Stale: true}
	if _, err := c.Get(t.Context(), "k", tiered.WithInfo(&info)); !errors.Is(err, tiered.ErrNotFound) || info != (tiered.Info{}) {
		t.Errorf("Get of nothing: %+v, %v", info, err)
	}
	info.Stale = true
	v, err := c.GetOrLoad(t.Context(), "k", constant("v"), tiered.WithInfo(&info))
	if v != "v" || err != nil || info.Source != tiered.SourceLoad || info.Stale {
		t.Errorf("GetOrLoad: %q, %v, %+v", v, err, info)
	}
}

func testInfoHeld(t *testing.T, c tiered.Cache[string]) {
	if _, err := c.GetOrLoad(t.Context(), "k", constant("v")); err != nil {
		t.Fatal(err)
	}
	var info tiered.Info
	v, err := c.Get(t.Context(), "k", tiered.WithInfo(&info))
	if v != "v" || err != nil || info.Source != tiered.SourceL1 && info.Source != tiered.SourceL2 || info.Remaining <= 0 {
		t.Errorf("Get: %q, %v, %+v", v, err, info)
	}
}
