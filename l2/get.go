package l2

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Status is what was found at a key.
type Status uint8

// Statuses of a [Reply].
const (
	Miss    Status = iota // no value that counts
	Hit                   // a value, live or negative
	Granted               // no value; the caller has the lease
	Busy                  // no value; the lease is held by somebody else
	Blocked               // a tombstone: nothing may be filled
)

// String returns the name of the status.
func (s Status) String() string {
	switch s {
	case Miss:
		return "miss"
	case Hit:
		return "hit"
	case Granted:
		return "granted"
	case Busy:
		return "busy"
	case Blocked:
		return "blocked"
	}
	return "status(" + strconv.Itoa(int(s)) + ")"
}

// Reply is the answer to [Store.Get] and [Store.GetOrLease].
type Reply struct {
	Status Status
	// Seq is the partition's sequence, read in one step with the rest; 0: there is
	// none. With Granted it is that of the lease.
	Seq   uint64
	Value Value // with Hit
	Lease Lease // with Granted
	// Unreadable says why the value that was there could not be read, if one was:
	// it matches [ErrForeign], [ErrLayout], [ErrTruncated] or [ErrCorrupt].
	Unreadable error
}

// Get reads a key. It answers with Hit, Miss or Blocked.
func (s *Store) Get(ctx context.Context, k Key) (Reply, error) {
	c, err := s.begin(ctx)
	if err != nil {
		return Reply{}, err
	}
	p := s.layout.Partition(k.Hash)
	q := reading{partition: p, region: s.region(k.Region), key: s.layout.Value(p, k.Region, k.Name)}
	q, err = c.read(s.primary[p].reads, q)
	if err != nil {
		return Reply{}, err
	}
	return s.judgeValue(q.seq, q.cleared, q.stored), nil
}

// region returns the names of a region's clearings. A region is for life, and
// there are few.
func (s *Store) region(name string) *regionNames {
	if last := s.lastRegion.Load(); last != nil && last.name == name {
		return last // of several regions in turn it is often wrong, and cheap
	}
	if found, ok := s.regions.Load(name); ok {
		names := found.(*regionNames)
		s.lastRegion.Store(names)
		return names
	}
	fresh := &regionNames{name: name, clear: make([]any, s.layout.Partitions())}
	for p := range fresh.clear {
		fresh.clear[p] = s.layout.Clear(p, name)
	}
	names, _ := s.regions.LoadOrStore(name, fresh)
	return names.(*regionNames)
}

// judgeValue says what a value counts for that was read together with the
// partition's sequence and the region's clearing.
func (s *Store) judgeValue(seq, cleared uint64, stored string) Reply {
	r := Reply{Status: Miss, Seq: seq}
	if stored == "" {
		return r
	}
	v, err := parseEnvelope(stored)
	switch {
	case err != nil:
		r.Unreadable = err
		s.sawUnreadable(err)
	case v.Kind == Tombstone:
		r.Status = Blocked
	case seq == 0:
		// The sequence is lost, and with it what has happened to the value.
	case v.Seq >= cleared:
		r.Status, r.Value = Hit, v
	}
	return r
}

// GetOrLease reads a key, or takes its lease under the given token so that the
// caller may fill it. refuse, unless zero, is the fill token of a value that the
// caller does not accept; any other value is a Hit. A caller that asks again
// with the same token is granted the same lease, with the sequence of the first
// time.
//
// The lease is renewed until it is given to [Store.Fill] or [Store.Release]. One
// that was granted although the call returned an error is released, so that the
// token must not be used again after an error.
func (s *Store) GetOrLease(ctx context.Context, k Key, token, refuse Token) (Reply, error) {
	c, err := s.begin(ctx)
	if err != nil {
		return Reply{}, err
	}
	r, err := s.getOrLease(&c, k, token, refuse)
	if err == nil && r.Status == Miss {
		// A value that only its checksum or its inside gives away: the script took
		// it for readable. So refuse it by its token.
		bad := r.Unreadable
		r, err = s.getOrLease(&c, k, token, r.Value.Token)
		if r.Unreadable == nil {
			r.Unreadable = bad
		}
		if r.Status == Miss {
			r.Status = Busy // changed again meanwhile: the caller reads again anyway
		}
	}
	if err != nil {
		s.dropLease(k, token)
		return Reply{}, err
	}
	if r.Status == Granted {
		s.leases.hold(r.Lease)
	}
	return r, nil
}

func (s *Store) getOrLease(c *call, k Key, token, refuse Token) (Reply, error) {
	p := s.layout.Partition(k.Hash)
	got, err := c.run(s.primary[p].scripts, getOrLeaseScript, s.leaseArgs(p, k, token, refuse), s.lateGrant(k, token))
	if err != nil {
		return Reply{}, err
	}
	return s.readGrant(k, token, got)
}

// leaseArgs are the arguments of get-or-lease for a key of partition p.
func (s *Store) leaseArgs(p int, k Key, token, refuse Token) []any {
	args := s.onKey(getOrLeaseScript, p, k, 3)
	return append(args, token.arg(), refuse.arg(), s.opts.LeaseTTL.Milliseconds())
}

// onKey begins the arguments of a script on all that belongs to a key of partition
// p, with room for n behind the keys.
func (s *Store) onKey(sc *script, p int, k Key, n int) []any {
	return sc.args([]string{
		s.layout.Sequence(p), s.layout.Clear(p, k.Region),
		s.layout.Value(p, k.Region, k.Name), s.layout.Lease(p, k.Region, k.Name),
	}, n)
}

// readGrant reads the answer of the script.
func (s *Store) readGrant(k Key, token Token, got []string) (Reply, error) {
	if len(got) < 2 {
		return Reply{}, unavailable(fmt.Errorf("%w: %q", errReply, got))
	}
	r := Reply{Seq: sequenceOf(got[1])}
	switch status := got[0]; {
	case status == "blocked":
		r.Status = Blocked
	case status == "busy":
		r.Status = Busy
	case status == "hit" && len(got) == 3:
		return s.readHit(r, got[2]), nil
	case status == "granted" && len(got) == 4:
		r.Status = Granted
		r.Lease = Lease{Key: k, Token: token, Seq: r.Seq}
		if r.Unreadable = whyUnreadable(got[2], got[3]); r.Unreadable != nil {
			s.sawUnreadable(r.Unreadable)
		}
	default:
		return Reply{}, unavailable(fmt.Errorf("%w: %.40q", errReply, status))
	}
	return r, nil
}

// readHit reads a value that the script found readable. If it is not, the reply
// is a Miss that carries its token.
func (s *Store) readHit(r Reply, stored string) Reply {
	v, err := parseEnvelope(stored)
	if err != nil {
		s.sawUnreadable(err)
		r.Status, r.Unreadable = Miss, err
		if len(stored) >= headerSize {
			r.Value.Token = Token([]byte(stored[atToken:atSeq]))
		}
		return r
	}
	r.Status, r.Value = Hit, v
	return r
}

// whyUnreadable explains what the script found in the way of a lease: nothing,
// the head of a string of that size, or something that is no string.
func whyUnreadable(head, size string) error {
	switch head {
	case "":
		if size == "0" {
			return nil
		}
		return ErrForeign
	case "other":
		return ErrForeign
	}
	n, err := strconv.Atoi(size)
	if err != nil {
		return ErrForeign
	}
	return checkHead(head, n)
}

// sequenceOf reads a sequence. What is none counts as absent.
func sequenceOf(s string) uint64 {
	if s == "" {
		return 0 // often; an error would be made for it
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// arg is the token as an argument of a command, which outlives the call.
func (t Token) arg() []byte { return append([]byte(nil), t[:]...) }

// lease is what a lease with this token and sequence holds in Redis.
func (t Token) lease(seq uint64) []byte {
	return binary.BigEndian.AppendUint64(t.arg(), seq)
}
