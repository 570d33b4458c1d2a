package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable()
	goleak.VerifyTestMain(m)
}

// rows that every table has.
var rows = []string{
	"doppio", "baseline", "requests", "errors", "response time", "hit ratio",
	"  products", "  product-by-sku", "  product-list", "  customers", "  order-summaries", "  stock",
	"origin queries", "loads in a stampede of 3 × 100 requests",
	"pub/sub messages lost on the way", "invalidations never confirmed",
	"invalidation lag, p50", "invalidation lag, p99", "worst staleness seen", "reads older than the bound (250ms)",
}

// short is a run of seconds. Its patience with Redis is long: on a machine that
// is busy with other tests, a timeout would say nothing about Redis.
func short(more ...string) []string {
	return append([]string{"-duration", "3s", "-bound", "250ms", "-rate", "400", "-clients", "4", "-l2-timeout", "20s"}, more...)
}

func TestRunKeepsThePromise(t *testing.T) {
	server := miniredis.RunT(t) // as a server that is not ours
	cfg, err := parseFlags(short("-redis", server.Addr()), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	out, err := simulate(t.Context(), cfg, &stdout, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(stdout.String())
	doppio, baseline := out.results[0], out.results[1]
	if out.broken || doppio.Verdict.TooOld > 0 {
		t.Errorf("promise broken: %+v", doppio.Verdict)
	}
	if doppio.StampedeLoads != 1 {
		t.Errorf("%d loads in the stampede, want 1", doppio.StampedeLoads)
	}
	if doppio.Errors > 0 || doppio.Unconfirmed > 0 {
		t.Errorf("%d errors (%v), %d unconfirmed", doppio.Errors, doppio.FirstError, doppio.Unconfirmed)
	}
	for _, r := range out.results {
		if r.Requests == 0 || r.Verdict.Reads == 0 || r.Verdict.Changes == 0 || r.Statements == 0 || len(r.Lags) == 0 || r.Dropped == 0 {
			t.Errorf("%s: something was not measured: %+v", r.Kind, r)
		}
	}
	if baseline.Verdict.TooOld == 0 {
		t.Error("the baseline kept a promise that it does not give: the faults have no effect")
	}
	for _, row := range rows {
		if !strings.Contains(stdout.String(), row) {
			t.Errorf("the output lacks %q", row)
		}
	}
	plainText(t, stdout.String())
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", stderr.String())
	}
	if keys := server.Keys(); len(keys) > 0 {
		t.Errorf("left on the server: %q", keys)
	}
}

// plainText checks that what is not written to a terminal is text of at most
// 100 columns.
func plainText(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x1b\r") {
		t.Error("escape sequences or carriage returns without a terminal")
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.HasSuffix(line, " \n") {
			t.Errorf("space at the end of %q", line)
		}
	}
}

// Without the probe the same oracle finds the lost messages, and the process
// says so by its status.
func TestRunWithoutTheProbeBreaksIt(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), short("-probe=false"), &stdout, &stderr); status != exitBroken {
		t.Errorf("status %d, want %d\n%s%s", status, exitBroken, stdout.String(), stderr.String())
	}
	for _, want := range []string{"Doppio did not keep its promise", "reads were older than 250ms", "That was to be expected"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
}

// What cannot be run is refused in one line that says what to do, without
// passwords.
func TestRefusals(t *testing.T) {
	// A port on which nobody listens any more.
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()

	tests := map[string]struct {
		args []string
		want string
	}{
		"unknown flag":          {[]string{"-fast"}, "flag provided but not defined: -fast (-h lists all flags)"},
		"argument":              {[]string{"now"}, `unexpected argument "now"`},
		"bound too small":       {[]string{"-bound", "1ms"}, "-bound is 1ms, must be at least 100ms"},
		"run too short":         {[]string{"-duration", "3s"}, "-duration is 3s, must be at least 6s"},
		"no rate":               {[]string{"-rate", "0"}, "-rate is 0"},
		"no clients":            {[]string{"-clients", "0"}, "-clients is 0"},
		"negative life":         {[]string{"-baseline-l1-ttl", "-1s"}, "-baseline-l1-ttl is negative"},
		"no patience":           {[]string{"-l2-timeout", "0s"}, "-l2-timeout is 0s"},
		"negative delay":        {[]string{"-origin-delay", "-1s"}, "-origin-delay is negative"},
		"no address":            {[]string{"-redis", "localhost"}, `"localhost" is not host:port`},
		"no URL":                {[]string{"-redis", "redis://:secret@[host"}, "not a valid redis:// or rediss:// URL"},
		"no Redis there":        {[]string{"-redis", nobody}, "-redis: " + nobody + " does not answer"},
		"no connection string":  {[]string{"-postgres", "postgres://me:secret@[host/db"}, "-postgres: "},
		"no PostgreSQL there":   {[]string{"-postgres", "postgres://me:secret@" + nobody + "/db?sslmode=disable"}, "-postgres: "},
		"no key=value either":   {[]string{"-postgres", "secret"}, "-postgres: "},
		"unknown key of a pair": {[]string{"-postgres", "sslmode=secret"}, "-postgres: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), tt.args, &stdout, &stderr)
			got := stderr.String()
			if status != exitUnusable || !strings.HasPrefix(got, "orderflow: ") || !strings.Contains(got, tt.want) {
				t.Errorf("status %d, stderr %q; want %d and %q", status, got, exitUnusable, tt.want)
			}
			if strings.Count(got, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("more than a line: %q, stdout %q", got, stdout.String())
			}
			if strings.Contains(got, ":secret") {
				t.Errorf("shows the password: %q", got)
			}
		})
	}
}

func TestHelpListsTheFlags(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &stdout, &stderr); status != exitKept {
		t.Errorf("status %d", status)
	}
	for _, flag := range []string{"-seed", "-duration", "-redis", "-postgres", "-probe", "-serve"} {
		if !strings.Contains(stderr.String(), flag) {
			t.Errorf("help lacks %s", flag)
		}
	}
}

// Ctrl-C ends a run early and leaves nothing behind.
func TestInterruption(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	status := run(ctx, short("-duration", "1h"), interrupter{cancel}, &stderr)
	if status != exitInterrupted || stderr.String() != "orderflow: interrupted\n" {
		t.Errorf("status %d, stderr %q", status, stderr.String())
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// interrupter interrupts the run as soon as it shows progress.
type interrupter struct{ interrupt func() }

func (i interrupter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("1 s")) {
		i.interrupt()
	}
	return len(p), nil
}
