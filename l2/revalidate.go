package l2

import (
	"context"
	"fmt"
	"time"
)

// Revalidation is another life for a value that Redis has.
type Revalidation struct {
	Token    Token         // fill token of the value that the origin was asked about
	Life     time.Duration // from now until the soft end
	Keep     time.Duration // how long the value stays beyond its life
	Idle     time.Duration // as in [Fill]
	Announce bool          // count and announce it, see [Fill]
}

// Revalidate is [Store.Fill] where the origin says that the value with the token
// is what it still has: the value gets a new life under the lease, and its payload
// is neither sent nor written anew. The checksum of what is inside, and the tags
// with their stamps, stay as they are.
//
// If Redis has not that value any more, or it is from before the partition's present
// primary, Filled.Gone is set, nothing has changed,
// and the lease is still the caller's. Otherwise it is at its end.
func (s *Store) Revalidate(ctx context.Context, l Lease, r Revalidation) (Filled, error) {
	got, err := s.revalidate(ctx, l, r)
	if err == nil && got.Gone {
		return got, nil
	}
	held := s.leases.forget(l)
	if err != nil || !got.Accepted {
		s.drop(l, held)
	}
	return got, err
}

func (s *Store) revalidate(ctx context.Context, l Lease, r Revalidation) (Filled, error) {
	if r.Life < 0 || r.Keep < 0 || r.Idle < 0 {
		return Filled{}, fmt.Errorf("l2: revalidation with life %v, keep %v, idle %v", r.Life, r.Keep, r.Idle)
	}
	c, err := s.begin(ctx)
	if err != nil {
		return Filled{}, err
	}
	p := s.layout.Partition(l.Key.Hash)
	stamp := appendStamp(nil, l.Token, l.Seq)
	args := revalidateScript.args([]string{
		s.layout.Sequence(p), s.layout.Clear(p, l.Key.Region), s.layout.Value(p, l.Key.Region, l.Key.Name),
		s.layout.Lease(p, l.Key.Region, l.Key.Name), s.layout.Epoch(p),
	}, 10)
	args = append(args, stamp[:atStampSum-atToken], r.Token.arg(), stamp[atStampSum-atToken:],
		r.Life.Microseconds(), stayFor(r.Life, r.Keep, r.Idle))
	args = append(s.announcement(args, p, []uint64{l.Key.Hash}), flag(r.Announce))
	got, err := c.run(s.primary[p].scripts, revalidateScript, args, nil)
	if err != nil {
		return Filled{}, err
	}
	return readFilled(got)
}
