package tiered_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/doppio-cache/doppio/tiered"
)

// A key that Refresh has not loaded is among the errors, also if the caller's own
// function has ended the goroutine that was to load it.
func TestRefreshWhoseKeyFunctionDoesNotReturn(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				r := region(t, b.node(t), tiered.Config[string]{Name: "items"})
				key := func(id int) string {
					if id == 2 {
						end()
					}
					return "k"
				}
				loads := 0
				l := tiered.Bind(r, key, func(context.Context, int) (string, error) { loads++; return "v", nil })
				err := l.Refresh(t.Context(), 1, 2)
				var p *tiered.LoadPanicError
				if !errors.As(err, &p) || p.Region != "items" || p.Key != "2" || p.Goexit != (name == "Goexit") || (p.Stack == nil) != p.Goexit {
					t.Errorf("got %v", err)
				}
				if loads != 1 {
					t.Errorf("%d loads, want that of the other key", loads)
				}
			})
		})
	}
}
