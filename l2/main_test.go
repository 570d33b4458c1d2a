package l2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/keyspace"
	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/l2"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const (
	partitions = 8
	patience   = 20 * time.Second // for effects that come at once on an idle machine
)

var (
	layout = mustLayout()
	apple  = keyspace.Of("products", "apple")
	pear   = keyspace.Of("products", "pear")
	nut    = keyspace.Of("products", "nut")
)

func mustLayout() *keyspace.Layout {
	l, err := keyspace.New("shop", partitions)
	if err != nil {
		panic(err)
	}
	return l
}

func partition(k l2.Key) int       { return layout.Partition(k.Hash) }
func valueName(k l2.Key) string    { return layout.Value(partition(k), k.Region, k.Name) }
func leaseName(k l2.Key) string    { return layout.Lease(partition(k), k.Region, k.Name) }
func sequenceName(k l2.Key) string { return layout.Sequence(partition(k)) }

// announcer announces in a form that announced can take apart.
type announcer struct{}

func (announcer) Announce(p int, hashes []uint64) (head, mid, tail []byte) {
	return fmt.Appendf(nil, "<%d|", p), []byte("|"), fmt.Appendf(nil, "|%x>", hashes)
}

// announcement is what was published of an invalidation.
type announcement struct {
	partition int
	seq       uint64
	at        int64
	hashes    string
}

func announced(t *testing.T, payload string) announcement {
	t.Helper()
	var a announcement
	b := []byte(payload)
	if _, err := fmt.Sscanf(payload, "<%d|", &a.partition); err != nil {
		t.Fatalf("message %q: %v", payload, err)
	}
	b = b[bytes.IndexByte(b, '|')+1:]
	a.seq, a.at = binary.BigEndian.Uint64(b), int64(binary.BigEndian.Uint64(b[9:]))
	a.hashes = string(b[18 : len(b)-1])
	return a
}

// listen returns a function that returns the announcements published since.
func listen(t *testing.T, c *redis.Client) func(n int) []announcement {
	t.Helper()
	sub := c.Subscribe(t.Context(), layout.Channel())
	t.Cleanup(func() { sub.Close() })
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func(n int) (got []announcement) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		// What comes after the n expected ones comes before this.
		if err := c.Publish(ctx, layout.Channel(), "end").Err(); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if m.Payload == "end" {
				break
			}
			got = append(got, announced(t, m.Payload))
		}
		if len(got) != n {
			t.Errorf("%d announcements, want %d: %+v", len(got), n, got)
		}
		return got
	}
}

// newStore opens a store on the client. Its timeout is long, because most tests
// are not about it and the machine may be busy.
func newStore(t testing.TB, c redis.UniversalClient, change ...func(*l2.Options)) *l2.Store {
	t.Helper()
	o := l2.Options{
		Client:    c,
		Layout:    layout,
		Announcer: announcer{},
		Logger:    slog.New(slog.DiscardHandler),
		Timeout:   patience,
		LeaseTTL:  time.Hour,
	}
	for _, f := range change {
		f(&o)
	}
	s, err := l2.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func timeout(d time.Duration) func(*l2.Options)  { return func(o *l2.Options) { o.Timeout = d } }
func leaseTTL(d time.Duration) func(*l2.Options) { return func(o *l2.Options) { o.LeaseTTL = d } }

// retries makes a client send again what failed.
func retries(n int) func(*redis.Options) { return func(o *redis.Options) { o.MaxRetries = n } }

// loadScripts makes all scripts known to the server, for tests that count
// commands or lose replies.
func loadScripts(t *testing.T, c *redis.Client) {
	t.Helper()
	for name, s := range l2.Scripts {
		if err := s.Load(t.Context(), c).Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func value(payload string) l2.Fill {
	return l2.Fill{Codec: "raw", Schema: "v1", Payload: []byte(payload), Life: time.Hour}
}

// grant takes a lease that nobody disputes.
func grant(t *testing.T, s *l2.Store, k l2.Key) l2.Lease {
	t.Helper()
	r, err := s.GetOrLease(t.Context(), k, l2.NewToken(), l2.Token{})
	if err != nil || r.Status != l2.Granted {
		t.Fatalf("get-or-lease: %v, %v, want granted", r.Status, err)
	}
	return r.Lease
}

// fill stores a value that nothing stands against.
func fill(t *testing.T, s *l2.Store, l l2.Lease, payload string) l2.Filled {
	t.Helper()
	f, err := s.Fill(t.Context(), l, value(payload))
	if err != nil || !f.Accepted {
		t.Fatalf("fill: %+v, %v, want accepted", f, err)
	}
	return f
}

// put stores a value.
func put(t *testing.T, s *l2.Store, k l2.Key, payload string) l2.Filled {
	t.Helper()
	return fill(t, s, grant(t, s, k), payload)
}

// putPatiently is put for a store whose timeout is short: a busy machine may let
// it pass for no other reason.
func putPatiently(t *testing.T, s *l2.Store, k l2.Key, payload string) {
	t.Helper()
	eventually(t, "a value is stored", func() bool {
		l, err := s.Begin(t.Context(), k, l2.NewToken())
		if err != nil {
			return false
		}
		f, err := s.Fill(t.Context(), l, value(payload))
		return err == nil && f.Accepted
	})
}

func invalidate(t *testing.T, s *l2.Store, keys ...l2.Key) uint64 {
	t.Helper()
	seq, err := s.Invalidate(t.Context(), partition(keys[0]), keys)
	if err != nil {
		t.Fatalf("invalidate: %v", err)
	}
	return seq
}

// wantHit checks what is read at a key.
func wantHit(t *testing.T, s *l2.Store, k l2.Key, payload string) l2.Reply {
	t.Helper()
	r, err := s.Get(t.Context(), k)
	if err != nil || r.Status != l2.Hit || string(r.Value.Payload) != payload {
		t.Errorf("get: %v %q, %v, want a hit with %q", r.Status, r.Value.Payload, err, payload)
	}
	return r
}

func wantMiss(t *testing.T, s *l2.Store, k l2.Key) l2.Reply {
	t.Helper()
	r, err := s.Get(t.Context(), k)
	if err != nil || r.Status != l2.Miss {
		t.Errorf("get: %v %q, %v, want a miss", r.Status, r.Value.Payload, err)
	}
	return r
}

func wantRefused(t *testing.T, s *l2.Store, l l2.Lease) {
	t.Helper()
	f, err := s.Fill(t.Context(), l, value("late"))
	if err != nil || f.Accepted {
		t.Errorf("fill: %+v, %v, want not accepted", f, err)
	}
}

// exists reports whether Redis has the key.
func exists(t *testing.T, c *redis.Client, key string) bool {
	t.Helper()
	n, err := c.Exists(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// eventually waits until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) { //nolint:forbidigo // between two looks
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// record is a slog.Handler that keeps what was logged.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) Enabled(context.Context, slog.Level) bool { return true }
func (r *record) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *record) WithGroup(string) slog.Handler            { return r }
func (r *record) Handle(_ context.Context, rec slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := rec.Level.String() + " " + rec.Message
	rec.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	r.lines = append(r.lines, line)
	return nil
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }
