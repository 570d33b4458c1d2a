package redistest_test

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestHoldWhileTheClientWaits(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t, patient)
		held := s.p.Hold(redistest.Command("INCR"))
		pipe := c.Pipeline()
		pipe.Set(ctx, "n", 1, 0)
		incr := pipe.Incr(ctx, "n")
		get := pipe.Get(ctx, "n")
		result := make(chan error, 1)
		go func() { _, err := pipe.Exec(ctx); result <- err }()
		held.Wait(t)
		must(t, s.direct.Set(ctx, "n", 10, 0).Err())
		if got := held.ReleaseAndWait(t); got != int64(11) {
			t.Errorf("answered %v", got)
		}
		must(t, <-result)
		if incr.Val() != 11 || get.Val() != "11" {
			t.Errorf("the client got %v and %v", incr, get)
		}
	})
}

func TestHoldAfterTheClientHasGone(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t, patient, func(o *redis.Options) { o.DB = 3 })
		held := s.p.Hold(redistest.Argument("k"))
		result := make(chan error, 1)
		go func() { result <- c.Set(ctx, "k", "late", 0).Err() }()
		held.Wait(t)
		held.CutClient()
		if err := <-result; err == nil {
			t.Error("the client was answered")
		}
		must(t, c.Set(ctx, "k", "new", 0).Err()) // only one is held
		if got := held.ReleaseAndWait(t); got != "OK" {
			t.Errorf("answered %v", got)
		}
		held.Release() // once is enough
		if got := c.Get(ctx, "k").Val(); got != "late" {
			t.Errorf("in the client's database: %q", got)
		}
	})
}

func TestHoldWhenTheClientGivesUp(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		held := s.p.Hold(redistest.Command("SET"))
		wantTimeout(t, s.p.Client(t, short).Set(ctx, "k", "late", 0).Err())
		eventually(t, "the proxy sees the client go", func() bool { return s.p.Conns() == 0 })
		held.Wait(t)
		if got := s.value(t, "k"); got != "" {
			t.Fatalf("executed before it was released: %q", got)
		}
		held.ReleaseAndWait(t)
		if got := s.value(t, "k"); got != "late" {
			t.Errorf("executed: %q", got)
		}
	})
}

func TestHoldReleasedBeforeItCatches(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		held := s.p.Hold(redistest.Command("SET"))
		held.Release()
		must(t, s.p.Client(t).Set(ctx, "k", "v", 0).Err())
	})
}

func TestHoldOfASubscription(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		held := s.p.Hold(redistest.Command("SUBSCRIBE"))
		sub := s.p.Client(t, patient).Subscribe(ctx, "ch")
		defer sub.Close()
		held.Wait(t)
		must(t, s.direct.Publish(ctx, "ch", "early").Err())
		held.Release()
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		must(t, s.direct.Publish(ctx, "ch", "1").Err())
		if got := receive(t, sub); got != "1" {
			t.Errorf("got %q", got)
		}
	})
}

func TestHoldIsThrownAwayInTheEnd(t *testing.T) {
	redistest.Each(t, func(t *testing.T, b *redistest.Backend) {
		t.Run("inner", func(t *testing.T) {
			p := b.Proxy(t)
			held := p.Hold(redistest.Command("SET"))
			_ = p.Client(t, short).Set(ctx, "k", "late", 0).Err()
			held.Wait(t)
		})
		if err := b.Client(t).Get(ctx, "k").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("executed: %v", err)
		}
	})
}

func TestHoldReply(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		c := s.p.Client(t, patient)
		must(t, s.direct.Set(ctx, "k", "old", 0).Err())
		held := s.p.HoldReply(redistest.Command("GET"))
		result := make(chan string, 1)
		go func() { result <- c.Get(ctx, "k").Val() }()
		held.Wait(t)
		must(t, s.direct.Set(ctx, "k", "new", 0).Err())
		select {
		case got := <-result:
			t.Fatalf("the client got %q before the release", got)
		default:
		}
		if got := held.ReleaseAndWait(t); got != "old" {
			t.Errorf("released %v", got)
		}
		if got := <-result; got != "old" {
			t.Errorf("the client got %q", got)
		}
		if got := c.Get(ctx, "k").Val(); got != "new" {
			t.Errorf("then %q", got)
		}
	})
}

func TestHoldMessage(t *testing.T) {
	each(t, func(t *testing.T, s setup) {
		slow := s.p.Client(t, patient).Subscribe(ctx, "ch")
		defer slow.Close()
		_, err := slow.Receive(ctx)
		must(t, err)
		held := s.p.HoldMessage(func(_ string, payload []byte) bool { return string(payload) == "2" })
		for _, m := range []string{"1", "2", "3"} {
			must(t, s.direct.Publish(ctx, "ch", m).Err())
		}
		if got := receive(t, slow); got != "1" {
			t.Errorf("got %q", got)
		}
		held.Wait(t)
		held.ReleaseAndWait(t)
		for _, want := range []string{"2", "3"} {
			if got := receive(t, slow); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}
