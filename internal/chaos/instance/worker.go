package instance

import (
	"sync"

	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// recorder is what one worker has seen since it was last asked. Times are taken
// under its lock, so that whoever asks after a moment gets everything that
// ended before it, and knows of everything that began before it.
type recorder struct {
	mu    sync.Mutex
	began int64 // of the read under way; 0 for none
	seen  wire.Batch
}

// begin notes that a read begins now.
func (r *recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = wire.Now()
}

// read notes a read that has ended, unless it failed.
func (r *recorder) read(what wire.Read, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		what.Begin, what.End = r.began, wire.Now()
		r.seen.Reads = append(r.seen.Reads, what)
	}
	r.began = 0
}

// readMany notes the reads that a call has made, which has ended.
func (r *recorder) readMany(what []wire.Read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := wire.Now()
	for i := range what {
		what[i].Begin, what[i].End = r.began, now
	}
	r.seen.Reads = append(r.seen.Reads, what...)
	r.began = 0
}

// invalidated notes invalidations that have ended now.
func (r *recorder) invalidated(what []wire.Invalidation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := wire.Now()
	for i := range what {
		what[i].End = now
	}
	r.seen.Deletes = append(r.seen.Deletes, what...)
}

// ended notes that an intent has come to its end.
func (r *recorder) ended(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.Ended = append(r.seen.Ended, number)
}

func (r *recorder) loaded(what wire.Load) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.Loads = append(r.seen.Loads, what)
}

// collect moves what was seen to a batch, and lowers its Through to the
// beginning of a read under way.
func (r *recorder) collect(b *wire.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.began != 0 {
		b.Through = min(b.Through, r.began)
	}
	b.Reads = append(b.Reads, r.seen.Reads...)
	b.Deletes = append(b.Deletes, r.seen.Deletes...)
	b.Loads = append(b.Loads, r.seen.Loads...)
	b.Ended = append(b.Ended, r.seen.Ended...)
	r.seen = wire.Batch{Reads: r.seen.Reads[:0], Deletes: r.seen.Deletes[:0], Loads: r.seen.Loads[:0], Ended: r.seen.Ended[:0]}
}
