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
	Loaded  int64  // when it had ended, or the value was set
	Apart   bool   // loaded without a lease
	Body    string
}

// body gives an item a size.
var body = strings.Repeat("doppio ", 32)

// origin is the database, as an instance sees it.
type origin struct{ hub *rpc.Client }

// versions loads the committed versions of keys.
func (o origin) versions(ctx context.Context, keys ...uint32) ([]uint64, error) {
	return ask[[]uint64](ctx, o, wire.HubLoad, keys)
}

// commit makes new versions of keys.
func (o origin) commit(ctx context.Context, c wire.Commit) ([]uint64, error) {
	return ask[[]uint64](ctx, o, wire.HubCommit, c)
}

// intend announces that leases of keys may be ended.
func (o origin) intend(ctx context.Context, keys []uint32) (number uint64, err error) {
	return ask[uint64](ctx, o, wire.HubIntend, keys)
}

// ask returns a reply, and does not look at it if the call has ended before.
func ask[T any](ctx context.Context, o origin, name string, args any) (none T, err error) {
	reply := new(T)
	if err := o.call(ctx, name, args, reply); err != nil {
		return none, err
	}
	return *reply, nil
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
