package instance

import (
	"context"
	"fmt"
	"net/rpc"
	"strings"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Item is the value that is cached.
type Item struct {
	Version uint64
	Load    uint64 // which of the instance's loads brought it, and the instance
	Apart   bool   // loaded without a lease
	Body    string
}

// body gives an item a size.
var body = strings.Repeat("doppio ", 32)

// origin is the database, as an instance sees it.
type origin struct{ hub *rpc.Client }

// version loads the committed version of a key.
func (o origin) version(ctx context.Context, key uint32) (version uint64, err error) {
	return version, o.call(ctx, wire.HubLoad, key, &version)
}

// commit makes a new version of a key.
func (o origin) commit(ctx context.Context, key uint32) (version uint64, err error) {
	return version, o.call(ctx, wire.HubCommit, key, &version)
}

func (o origin) call(ctx context.Context, name string, args, reply any) error {
	call := o.hub.Go(name, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if call.Error != nil {
			return fmt.Errorf("%s: %w", name, call.Error)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
