package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// shop is a service whose cache is warm before it is sent any requests, and whose
// invalidations are confirmed before it ends.
type shop struct {
	node     *tiered.Node
	products *tiered.Region[Product]
	server   *http.Server
	serving  atomic.Bool // what the readiness probe is told
}

func (s *shop) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if !s.serving.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// start returns when the service is to be sent requests: warm if that can be had in
// time, and cold if not. It never fails because Redis is away.
func (s *shop) start(ctx context.Context, db database, keys []string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // less than the startup probe allows
	defer cancel()
	warmed, err := s.products.Warm(ctx, slices.Values(keys), db.ProductsByID, tiered.Warming{})
	fmt.Printf("warm: %d loaded, %d there, %v\n", warmed.Loaded, warmed.Hits, err)
	s.serving.Store(true)
}

// stop ends the service when it has been told to (SIGTERM).
func (s *shop) stop(ctx context.Context) error {
	s.serving.Store(false)
	return errors.Join(
		s.server.Shutdown(ctx), // first the requests: they may still delete
		s.node.Shutdown(ctx),   // then the loads and the invalidations
		// last, where there is one, the Redis client
	)
}

// A readiness probe says whether the service has been warmed and is not being
// stopped. It does not ask for Redis: without that the service answers too.
func Example_lifecycle() {
	ctx := context.Background()
	node, err := tiered.Open(ctx, tiered.Options{Local: true, Prefix: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer node.Close() // a second time, if all goes well
	products, err := tiered.New(node, tiered.Config[Product]{Name: "products"})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := &shop{node: node, products: products}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Second}
	probe := func() {
		answer := httptest.NewRecorder()
		s.server.Handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/ready", nil))
		fmt.Println("ready:", answer.Code)
	}

	probe()
	s.start(ctx, database{"42": {Name: "Saw"}}, []string{"42"})
	probe()
	fmt.Println("stopped:", s.stop(ctx))
	probe()
	// Output:
	// ready: 503
	// SELECT … WHERE id IN [42]
	// warm: 1 loaded, 0 there, <nil>
	// ready: 200
	// stopped: <nil>
	// ready: 503
}
