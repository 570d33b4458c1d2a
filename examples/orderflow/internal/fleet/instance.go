package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/customers"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/faults"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/httpapi"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/invalidate"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
)

// Instance is the service in one process, as it would be deployed.
type Instance struct {
	Number int          // counted from 1
	URL    string       // "http://127.0.0.1:port"
	Link   *faults.Link // its network to Redis

	cache  cache
	redis  *redis.Client
	server *http.Server
	served sync.WaitGroup
}

// Unconfirmed is the number of the instance's invalidations that Redis has not
// confirmed. With Doppio they are sent again until it has.
func (i *Instance) Unconfirmed() int { return i.cache.Unconfirmed() }

// Counts says what the instance's reads came to, by region.
func (i *Instance) Counts() map[string]Counts { return i.cache.Counts() }

func startInstance(ctx context.Context, number int, opts Options) (*Instance, error) {
	inst := &Instance{Number: number}
	redisOptions := *opts.Redis
	inst.Link = faults.NewLink(redis.NewDialer(opts.Redis))
	redisOptions.Dialer = inst.Link.Dial
	inst.redis = redis.NewClient(&redisOptions)
	log := opts.Logger.With("system", opts.Kind, "instance", number)

	var all caches
	var err error
	if opts.Kind == Doppio {
		inst.cache, all, err = openDoppio(ctx, inst.redis, opts, log)
	} else {
		inst.cache, all, err = openPlain(ctx, inst.redis, opts)
	}
	if err != nil {
		return nil, errors.Join(err, inst.redis.Close(), inst.Link.Close())
	}

	handler := invalidate.NewHandler(inst.cache)
	api := &httpapi.API{
		Catalog:   catalog.NewRepository(opts.DB, all.catalog, handler),
		Customers: customers.NewRepository(opts.DB, all.customers),
		Ordering:  ordering.NewRepository(opts.DB, all.summaries, handler),
		Stats:     inst.cache.Stats,
		Logger:    log,
	}
	if err := inst.serve(ctx, api.Handler(), log); err != nil {
		return nil, errors.Join(err, inst.Close(ctx))
	}
	return inst, nil
}

func (i *Instance) serve(ctx context.Context, handler http.Handler, log *slog.Logger) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	i.URL = "http://" + listener.Addr().String()
	i.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	i.served.Go(func() {
		if err := i.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("serve", "error", err)
		}
	})
	return nil
}

// grace is how long requests may take to end by themselves.
const grace = time.Second

// Close stops in the order in which a service should: first take no requests,
// then let the cache send what it still has to, then close the client.
func (i *Instance) Close(ctx context.Context) error {
	var errs []error
	if i.server != nil {
		patient, cancel := context.WithTimeout(ctx, grace)
		if i.server.Shutdown(patient) != nil {
			errs = append(errs, i.server.Close())
		}
		cancel()
		i.served.Wait()
	}
	i.Link.Heal()
	i.Link.DropMessages(false)
	errs = append(errs, i.cache.Close(ctx), i.redis.Close(), i.Link.Close())
	return errors.Join(errs...)
}
