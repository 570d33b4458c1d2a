package tiered_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/tiered"
)

// nowhere is an address that refuses connections.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	succeeds(t, l.Close())
	return l.Addr().String()
}

// What Ready and Shutdown say of a Redis that is not there is what somebody needs to
// know who is woken up by it: which address, and what is wrong with it.
func TestErrorsSayWhyRedisIsNotReached(t *testing.T) {
	t.Parallel()
	addr := nowhere(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = client.Close() })
	n := open(t, tiered.Options{Redis: client, MaxStaleness: bound, L2Timeout: 50 * time.Millisecond})
	r := region(t, n, tiered.Config[int]{Name: "items"})
	if err := r.Delete(t.Context(), "k"); err == nil {
		t.Fatal("Delete without Redis: no error")
	}
	explains := func(err error, end error) bool {
		_, dialled := errors.AsType[*net.OpError](err)
		return dialled && errors.Is(err, syscall.ECONNREFUSED) && errors.Is(err, end) &&
			strings.HasPrefix(err.Error(), "doppio: ") && strings.Contains(err.Error(), addr) && !strings.Contains(err.Error(), "invalidation:")
	}
	brief := func(call func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), bound/4)
		defer cancel()
		return call(ctx)
	}
	var err error
	eventually(t, "Ready says why", func() bool { err = brief(n.Ready); return explains(err, context.DeadlineExceeded) })
	t.Log(err)
	if reason := n.Stats().DegradedReason; !strings.Contains(reason, addr) || !strings.Contains(reason, "refused") {
		t.Errorf("Stats: %q", reason)
	}
	if err := brief(n.Shutdown); !explains(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 keys") {
		t.Errorf("Shutdown: %v", err)
	}
	if err := n.Ready(t.Context()); err != tiered.ErrClosed { //nolint:errorlint // no more and no less
		t.Errorf("Ready of a closed node: %v", err)
	}
}

// An address that does not answer is named.
func TestErrorsNameAnAddressThatIsSilent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client := redis.NewClient(&redis.Options{Addr: l.Addr().String()})
	t.Cleanup(func() { _ = client.Close() })
	n := open(t, tiered.Options{Redis: client, MaxStaleness: bound, L2Timeout: 50 * time.Millisecond})
	eventually(t, "Ready says who", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), bound/2)
		defer cancel()
		err := n.Ready(ctx)
		return err != nil && strings.Contains(err.Error(), l.Addr().String()+": no answer in time")
	})
}

// What is wrong with all partitions is said once.
func TestErrorsOfManyPartitionsSayWhyOnce(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: nowhere(t)})
	t.Cleanup(func() { _ = client.Close() })
	n := open(t, tiered.Options{Redis: client, MaxStaleness: bound, L2Timeout: 50 * time.Millisecond, Partitions: 64})
	r := region(t, n, tiered.Config[int]{Name: "items"})
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	for name, err := range map[string]error{"Clear": r.Clear(t.Context()), "Delete": r.Delete(t.Context(), keys...)} {
		if !errors.Is(err, tiered.ErrUnavailable) || strings.Count(err.Error(), "no answer in time") != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
