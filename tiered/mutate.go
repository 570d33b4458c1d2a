package tiered

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/l2"
)

// blockMargin is for how long keys stay blocked after a write must have ended: so
// much may pass between the write's last look at its deadline and its commit.
const blockMargin = 2 * time.Second

var errNilWrite = fmt.Errorf("%w: the write function is nil", ErrInvalidOption)

// Mutate carries out a write of the origin and invalidates keys, in such a way
// that no old value stays in the cache even if the process dies between the two.
// (A Delete that follows a commit is lost with its process: then the old value
// lives for as long as its TTL says.)
//
// Before the write it puts tombstones in the keys' place, on Redis: until they
// end, reads of the keys load from the origin and store nothing. After the write
// it invalidates the keys and takes the tombstones away. It does so also if write
// fails or panics, since a failed write may have been carried out, and also if ctx
// has ended. If the process dies, the tombstones end by themselves, soon after
// Config.WriteTimeout; so the context that write gets ends with ctx or after
// Config.WriteTimeout, whichever comes first.
//
// A tombstone is a key with a life, so Redis must not evict such keys (noeviction)
// where this matters.
//
// If a tombstone cannot be put there, because Redis is out of reach, write is
// called all the same: then it is no more than a write and a Delete. Two Mutates
// of a key at once both go ahead, and the key stays uncached until the tombstone
// ends by itself.
//
// It returns write's error if there is one, joined with that of the invalidation if
// that was not confirmed. If write succeeded, and the invalidation was not
// confirmed, it returns a [*CommittedError].
//
// Nothing is written if ctx has ended before, if the node is closed ([ErrClosed]),
// if a key is not valid ([ErrInvalidKey]), while other instances use another layout
// ([ErrUnavailable], see [Options].Partitions), and in a region that lives in L1
// only, on a node that shares Redis with others: that has no place for tombstones
// ([errors.ErrUnsupported]).
func (r *Region[V]) Mutate(ctx context.Context, keys []string, write func(ctx context.Context) error) error {
	if r == nil {
		return errNilRegion
	}
	if write == nil {
		return errNilWrite
	}
	ks := make([]keyspace.Key, len(keys))
	var errs []error
	for i, key := range keys {
		errs = append(errs, checkKey(key))
		ks[i] = keyspace.Of(r.core.name, key)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if r.core.mode == L1Only && r.core.node.l2 != nil {
		return fmt.Errorf("doppio: Mutate: %w by region %s, which lives in L1 only", errors.ErrUnsupported, r.core.name)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("doppio: Mutate: nothing was written: %w", err)
	}
	return r.core.mutate(ctx, ks, write)
}

func (r *region) mutate(ctx context.Context, keys []keyspace.Key, write func(context.Context) error) (err error) {
	n := r.node
	if !n.mutations.enter() {
		return fmt.Errorf("doppio: Mutate: nothing was written: %w", ErrClosed)
	}
	defer n.mutations.leave()
	token := l2.NewToken()
	// The clock before the tombstones: so they end later than is thought here.
	deadline := time.Now().Add(r.writeTimeout)
	returned := false
	defer func() {
		if !returned { // it panicked, or called runtime.Goexit, or the observer did: that goes on
			_ = r.unblock(ctx, keys, token)
		}
	}()
	if err := r.block(ctx, keys, token); err != nil {
		returned = true
		return err
	}
	writing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)() // Close does not wait for writes
	err = write(writing)
	returned = true
	invalidated := r.unblock(ctx, keys, token)
	switch {
	case err != nil && invalidated != nil:
		return errors.Join(err, invalidated)
	case err != nil:
		return err
	case invalidated != nil:
		return &CommittedError{Err: invalidated}
	}
	return nil
}

// block puts tombstones in the keys' place, as far as Redis can be reached. An
// error means that nothing may be written: the node is closed, or other instances
// use another layout.
func (r *region) block(ctx context.Context, keys []keyspace.Key, token l2.Token) error {
	n := r.node
	if !n.writes.enter() {
		return fmt.Errorf("doppio: Mutate: nothing was written: %w", ErrClosed)
	}
	defer n.writes.leave()
	if n.l2 == nil || len(keys) == 0 {
		return nil
	}
	if err := n.backplane.Err(); err != nil {
		// The other instances would neither find the tombstones nor hear of the
		// invalidation.
		return fmt.Errorf("doppio: Mutate: nothing was written: %w", unavailable(err))
	}
	ctx, told := n.observeInvalidation(ctx, r.name, keys)
	heard := n.heard(keys...)
	var errs []error
	for _, res := range invalidateMany(keys, func(some []keyspace.Key) []l2.Invalidated {
		return n.l2.Block(ctx, some, token, r.writeTimeout+blockMargin+r.originLag)
	}) {
		if res.Err != nil {
			r.warnOnce("a Mutate goes on without knowing that its tombstone is there", "error", res.Err)
			errs = append(errs, res.Err)
			continue
		}
		n.confirmed(res.Partition, res.Keys, res.Seq, heard[res.Partition])
	}
	if told != nil {
		told(distinct(errs))
	}
	return nil
}

// unblock invalidates the keys and ends the tombstones, whatever has become of
// ctx: the write may have been carried out.
func (r *region) unblock(ctx context.Context, keys []keyspace.Key, token l2.Token) error {
	_, err := r.node.invalidateBy(context.WithoutCancel(ctx), r.name, keys, func(ctx context.Context) []l2.Invalidated {
		return invalidateMany(keys, func(some []keyspace.Key) []l2.Invalidated {
			return r.node.l2.Unblock(ctx, some, token, r.originLag)
		})
	})
	return err
}
