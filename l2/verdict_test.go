package l2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
)

// reply is an error that a server answered.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestVerdict(t *testing.T) {
	tests := []struct {
		err  error
		want verdict
	}{
		{nil, healthy},
		{redis.Nil, healthy},
		{reply("WRONGTYPE Operation against a key holding the wrong kind of value"), healthy},
		{reply("NOSCRIPT No matching script. Please use EVAL."), healthy},
		{reply("ERR user_script:3: boom script: 1f, on @user_script:3."), healthy},
		{reply("OOM command not allowed when used memory > 'maxmemory'."), healthy},
		{reply("ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command not allowed"), healthy},
		{reply("TRYAGAIN Multiple keys request during rehashing of slot"), healthy},
		{reply("NOPERM this user has no permissions to run the 'evalsha' command"), healthy},
		{errTimeout, failing},
		{io.EOF, failing},
		{context.DeadlineExceeded, failing},
		{redis.ErrClosed, failing},
		{redis.ErrPoolTimeout, failing},
		{reply("LOADING Redis is loading the dataset in memory"), failing},
		{reply("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), failing},
		{reply("CLUSTERDOWN The cluster is down"), failing},
		{reply("NOAUTH Authentication required."), failing},
		{reply("WRONGPASS invalid username-password pair or user is disabled."), failing},
		{reply("ERR max number of clients reached"), failing},
		{reply("MOVED 1 127.0.0.1:1"), failing},
		{reply("READONLY You can't write against a read only replica."), fatal},
		{reply("ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica."), fatal},
		{reply("NOREPLICAS Not enough good replicas to write."), fatal},
		{reply("MISCONF Redis is configured to save RDB snapshots, but"), fatal},
		{fmt.Errorf("wrapped: %w", reply("READONLY You can't write")), fatal},
	}
	for _, tt := range tests {
		if got := judge(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestBreaker(t *testing.T) {
	var told []string
	b := newBreaker(0, func(up bool, cause error) { told = append(told, fmt.Sprint(up, " ", cause)) })
	want := func(what string, down bool, n int) {
		t.Helper()
		if b.isDown() != down || len(told) != n {
			t.Errorf("%s: down %v, told %q; want %v, %d", what, b.isDown(), told, down, n)
		}
	}
	refused := reply("LOADING")
	b.report(errTimeout)
	want("a report before the first probe", false, 0)
	if b.state.Load() == nil {
		t.Error("calls pass before the first probe")
	}
	b.probed(nil)
	want("the first probe", false, 0)
	for range tripAfter - 1 {
		b.report(refused)
	}
	b.report(nil)
	for range tripAfter - 1 {
		b.report(refused)
	}
	want("failures, but not so many in a row", false, 0)
	b.report(refused)
	want("the last straw", true, 1)
	b.report(nil)
	b.report(refused)
	want("late answers", true, 1)
	b.probed(errTimeout)
	want("a probe that fails", true, 1)
	b.probed(nil)
	want("a probe that succeeds", false, 2)
	b.probed(errTimeout)
	want("a probe that was overtaken", false, 2)
	for range tripAfter - 1 {
		b.report(refused)
	}
	want("counting begins anew", false, 2)
	b.report(nil)
	b.report(reply("READONLY"))
	want("the wrong server", true, 3)
	if r := b.state.Load(); !errors.Is(r.err, ErrUnavailable) || !errors.Is(r.err, reply("READONLY")) {
		t.Errorf("calls get %v", r.err)
	}

	b = newBreaker(0, func(bool, error) {})
	b.probed(errTimeout)
	if !b.isDown() {
		t.Error("up after a first probe that failed")
	}
}
