package baseline_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/chaos/baseline"
	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func open(t *testing.T, client *redis.Client) *baseline.Cache[int] {
	t.Helper()
	c := baseline.Open[int](t.Context(), baseline.Options{Redis: client, Prefix: "t", TTL: func(string) time.Duration { return time.Hour }, Timeout: 10 * time.Second})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func get(t *testing.T, c *baseline.Cache[int], origin int) baseline.Answer[int] {
	t.Helper()
	a, err := c.GetOrLoad(t.Context(), "k", func(context.Context) (int, error) { return origin, nil })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !met(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20s: %s", what)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // between two looks of a poll
	}
}

// It is a working cache: a strawman would prove nothing.
func TestWorksWhileNothingIsLost(t *testing.T) {
	s := redistest.Mini(t)
	a, b := open(t, s.Client(t)), open(t, s.Client(t))
	for _, step := range []struct {
		c    *baseline.Cache[int]
		want baseline.Source
	}{{a, baseline.Loaded}, {a, baseline.Memory}, {b, baseline.Redis}, {b, baseline.Memory}} {
		if got := get(t, step.c, 1); got.Source != step.want || got.Value != 1 || got.Apart {
			t.Errorf("%+v, want source %d", got, step.want)
		}
	}
	// Its subscription is there once a message has come through.
	until(t, "a Delete reaches the other instance", func() bool {
		if err := a.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		return get(t, b, 2).Value == 2
	})
	if hits, misses := a.Counts(); hits != 1 || misses != 1 {
		t.Errorf("%d hits, %d misses", hits, misses)
	}
}

func TestSet(t *testing.T) {
	s := redistest.Mini(t)
	a, b := open(t, s.Client(t)), open(t, s.Client(t))
	get(t, b, 1)
	until(t, "a Set reaches the other instance", func() bool {
		if err := a.Set(t.Context(), "k", 2); err != nil {
			t.Fatal(err)
		}
		return get(t, b, 3).Value == 2
	})
	s.Miniredis.SetError("down")
	if err := a.Set(t.Context(), "k", 4); err == nil {
		t.Error("a Set that Redis has refused is no success")
	}
	if got := get(t, a, 5); got.Value != 4 || !got.Apart {
		t.Errorf("%+v", got)
	}
}

func TestWithoutRedisItLoads(t *testing.T) {
	s := redistest.Mini(t)
	c := open(t, s.Client(t))
	s.Miniredis.SetError("down")
	if got := get(t, c, 1); got.Value != 1 || !got.Apart {
		t.Errorf("%+v", got)
	}
	if got := get(t, c, 2); got.Value != 1 || !got.Apart || got.Source != baseline.Memory {
		t.Errorf("%+v", got)
	}
	if err := c.Delete(t.Context(), "k"); err == nil {
		t.Error("a Delete that Redis has refused is no success")
	}
	broken := errors.New("broken")
	if _, err := c.GetOrLoad(t.Context(), "other", func(context.Context) (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
