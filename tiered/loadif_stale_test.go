package tiered_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// slowConn is a connection to a Redis that is some way off.
type slowConn struct{ net.Conn }

func (c slowConn) Write(b []byte) (int, error) {
	time.Sleep(time.Millisecond) //nolint:forbidigo // in a bubble this moves the clock
	return c.Conn.Write(b)
}

// faraway lets a node's commands take some time.
func (b *bubble) faraway(t testing.TB) func(*tiered.Options) {
	return func(o *tiered.Options) {
		c := b.client(t)
		dial := c.Options().Dialer
		c.Options().Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return slowConn{conn}, err
		}
		o.Redis = c
	}
}

// A value that the origin has called unchanged is served stale when its new life is
// over, as any other is, also if L1 did not take it because it has tags.
func TestUnchangedValueIsServedStale(t *testing.T) {
	for _, tags := range [][]string{nil, {"tag"}} {
		t.Run(fmt.Sprint(len(tags), " tags"), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := pages()
				cfg.StaleFor = whole
				cfg.Tags = func(string, string) []string { return tags }
				r := region(t, b.node(t, b.faraway(t)), cfg)
				d := &document{value: "a"}
				for range 3 { // with nobody reading what was renewed
					d.is(t, r, "a", tiered.SourceLoad)
					pass(whole + time.Minute)
				}
				d.was(t, 1, "", "a", "a")
				var info tiered.Info
				if v, err := r.LoadIf(t.Context(), "k", unreachable, tiered.WithInfo(&info)); v != "a" || err != nil || !info.Stale {
					t.Errorf("%q, %v, %+v; want the stale value", v, err, info)
				}
			})
		})
	}
}

// What L1 had before a newer value was called unchanged is not served after it, also if
// Redis has lost that one.
func TestOlderValueIsNotServedAfterAnUnchangedOne(t *testing.T) {
	for _, tags := range [][]string{nil, {"tag"}} {
		t.Run(fmt.Sprint(len(tags), " tags"), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bubble) {
				cfg := pages()
				cfg.StaleFor = 10 * whole
				cfg.Tags = func(string, string) []string { return tags }
				rs := regions(t, []*tiered.Node{b.node(t, b.faraway(t)), b.node(t)}, cfg)
				d := &document{value: "a"}
				d.is(t, rs[0], "a", tiered.SourceLoad)
				pass(whole + time.Minute)
				b.evict(t)
				d.value = "b"
				d.is(t, rs[1], "b", tiered.SourceLoad)
				pass(whole + time.Minute)
				d.is(t, rs[0], "b", tiered.SourceLoad)
				d.was(t, 2, "", "", "b")
				pass(whole + time.Minute)
				b.evict(t)
				if v, err := rs[0].LoadIf(t.Context(), "k", unreachable); v == "a" {
					t.Errorf("%q, %v: the value went back", v, err)
				}
			})
		})
	}
}

func unreachable(context.Context, string, tiered.Entry[string]) (string, tiered.Validator, error) {
	return "", "", errDown
}
