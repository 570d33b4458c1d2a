package tiered_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// An Expire of a node that is alone puts back what it has found. A load may have put a
// newer value there meanwhile, or bring one that finds no place any more, and that one
// may have been served.
func TestExpireInMemoryDoesNotGoBack(t *testing.T) {
	r := region(t, local(t), tiered.Config[int]{Name: "items", TTL: time.Hour, StaleFor: time.Hour, Jitter: -1})
	away := errors.New("the origin is away")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := r.Expire(t.Context(), "k"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	served := 0
	for version := range 300_000 {
		for _, err := range []error{nil, away} {
			v, err := r.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { return version, err })
			switch {
			case err != nil && !errors.Is(err, away):
				t.Fatal(err)
			case err == nil && v < served:
				t.Fatalf("%d after %d", v, served)
			case err == nil:
				served = v
			}
		}
	}
}
