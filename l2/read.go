package l2

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// reading is what a request of a read lane asks for, and its answer.
type reading struct {
	partition int
	region    *regionNames
	key       string // name of the value in Redis

	at places // while it is being read

	seq, cleared uint64
	stored       string
	err          error
}

// places are the positions of a request's keys in an MGET.
type places struct{ seq, clear, value int }

// regionNames are the names of a region's clearings, by partition.
type regionNames struct {
	name  string
	clear []any
	size  atomic.Int64 // bytes of a value, moving average of what calls of many keys read
}

// read takes in what n values have for a size on average.
func (r *regionNames) read(n, size int) {
	avg := r.size.Load()
	r.size.Store(avg + (int64(size)-avg)*int64(min(n, 16))/16)
}

// readers turns what waits on a read lane into one MGET for all of it. A
// pipeline of as many commands costs both sides several times as much. All keys
// of a lane are in one slot, unless there are no slots. That Redis reads all of
// them in one step is more than is needed.
type readers struct {
	store *Store
	size  atomic.Int64 // bytes of a value, moving average
}

// exchange reads for all requests of a batch.
func (r *readers) exchange(ctx context.Context, b *batch) {
	args := r.ask(b.requests)
	cmd := redis.NewStringSliceCmd(ctx, args...)
	err := r.store.client.Process(ctx, cmd)
	got := cmd.Val()
	if err == nil && len(got) != len(args)-1 {
		err = fmt.Errorf("%w: %d values for %d keys", errReply, len(got), len(args)-1)
	}
	for _, req := range b.requests {
		q := &req.reading
		if q.err = err; err == nil {
			q.seq, q.cleared, q.stored = sequenceOf(got[q.at.seq-1]), sequenceOf(got[q.at.clear-1]), got[q.at.value-1]
			r.took(len(q.stored))
		}
	}
}

// ask makes the MGET of a batch, and notes where in it each request has its
// keys. Requests of one partition share its sequence, and those of one region
// that follow each other share its clearing too.
func (r *readers) ask(requests []*request) (args []any) {
	args = make([]any, 1, 1+3*len(requests))
	args[0] = "mget"
	if len(requests) == 1 {
		q := &requests[0].reading
		q.at = places{seq: 1, clear: 2, value: 3}
		return append(args, r.store.names[q.partition].sequence, q.region.clear[q.partition], q.key)
	}
	last := make([]*reading, len(r.store.names)) // by partition
	for _, req := range requests {
		q := &req.reading
		p := q.partition
		if prev := last[p]; prev != nil {
			q.at = prev.at
		} else {
			q.at.seq = len(args)
			args = append(args, r.store.names[p].sequence)
		}
		if prev := last[p]; prev == nil || prev.region != q.region {
			q.at.clear = len(args)
			args = append(args, q.region.clear[p])
		}
		q.at.value = len(args)
		args = append(args, q.key)
		last[p] = q
	}
	return args
}

// took takes in the size of a value. Of two at the same time one may be lost; it
// is an average.
func (r *readers) took(size int) {
	avg := r.size.Load()
	r.size.Store(avg + (int64(size)-avg)/16)
}
