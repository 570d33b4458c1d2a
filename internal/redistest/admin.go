package redistest

import (
	"bufio"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// These speak to one server alone, on a connection of their own that is closed
// at once: a server that changes its role closes those of its clients.

// try sends one command to the server.
func (s *Server) try(ctx context.Context, args ...any) *redis.Cmd {
	c := redis.NewClient(clientOptions(s.Addr()))
	defer c.Close()
	return c.Do(ctx, args...)
}

// command is try for one that has to succeed.
func (s *Server) command(tb testing.TB, args ...any) any {
	tb.Helper()
	v, err := s.try(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		tb.Fatalf("redistest: %v at %s: %v", args, s.Addr(), err)
	}
	return v
}

// info is a section of INFO, empty if the server does not answer.
func (s *Server) info(tb testing.TB, section string) map[string]string {
	tb.Helper()
	text, err := s.try(context.Background(), "INFO", section).Text()
	if err != nil {
		return nil
	}
	out := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			out[name] = value
		}
	}
	return out
}

// Errors is how often the server has answered with an error of each code
// (MOVED, ASK, READONLY, …) since it started.
func (s *Server) Errors(tb testing.TB) map[string]int {
	tb.Helper()
	out := make(map[string]int)
	for name, value := range s.info(tb, "errorstats") {
		code, ok := strings.CutPrefix(name, "errorstat_")
		if !ok {
			continue
		}
		out[code], _ = strconv.Atoi(strings.TrimPrefix(value, "count="))
	}
	return out
}

// Commands is how often the server has carried out a command (in lower case)
// since it started.
func (s *Server) Commands(tb testing.TB, name string) int {
	tb.Helper()
	calls, _, _ := strings.Cut(strings.TrimPrefix(s.info(tb, "commandstats")["cmdstat_"+name], "calls="), ",")
	n, _ := strconv.Atoi(calls) // none is 0
	return n
}

// settleTime bounds the wait until servers agree with each other.
const settleTime = 30 * time.Second

// waitUntil polls until ok.
func waitUntil(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(settleTime); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			tb.Fatalf("redistest: not within %v: %s", settleTime, what)
		}
	}
}
