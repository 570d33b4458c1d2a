package load

import (
	"context"
	"fmt"
	"sync"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
)

// StampedeSize is how many requests each instance gets at once.
const StampedeSize = 100

// stampedeID is a product that nobody has read before the stampede.
const stampedeID = origin.Products + 2

// stampede asks all instances for a product that none of them has, many times
// at once, and returns how often the database was asked for it.
func stampede(ctx context.Context, t *Target) uint64 {
	loads := t.Fleet.DB.Watch(int64(stampedeID))
	start := make(chan struct{})
	var crowd sync.WaitGroup
	for _, inst := range t.Fleet.Instances {
		for range StampedeSize {
			crowd.Go(func() {
				<-start
				// An error is counted by the target; the crowd goes on.
				_, _ = t.getProduct(ctx, inst, fmt.Sprintf("/products/%d", stampedeID))
			})
		}
	}
	close(start)
	crowd.Wait()
	return loads()
}
