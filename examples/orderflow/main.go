// Orderflow is a small shop service with Doppio in front of its database, and
// a test of it that anybody can watch.
//
// It runs three instances of the service, each behind an HTTP port, drives them
// with a seeded load, loses pub/sub messages, cuts one instance off from Redis,
// and lets an oracle judge every answer from outside. Beside it, in the same
// run, the same service does the same with a plain two-tier cache. The table at
// the end shows both.
//
//	go -C examples run ./orderflow
//
// needs nothing but Go: the database is SQLite in a temporary file, Redis is
// miniredis in the process. See the README of examples for all flags.
//
// The exit status is 0 if Doppio kept its promise, 1 if it did not, 2 if the
// run could not be made, 130 if it was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9/logging"
)

// Exit statuses.
const (
	exitKept        = 0
	exitBroken      = 1
	exitUnusable    = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// go-redis writes connection errors to stderr. Here they are the point of
	// the exercise; -v shows what Doppio says about them.
	logging.Disable()
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitKept
	case err != nil:
		fmt.Fprintln(stderr, "orderflow:", err)
		return exitUnusable
	}
	outcome, err := simulate(ctx, cfg, stdout, stderr)
	switch {
	case ctx.Err() != nil && !outcome.complete:
		fmt.Fprintln(stderr, "orderflow: interrupted")
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(stderr, "orderflow:", err)
		return exitUnusable
	case outcome.broken:
		return exitBroken
	default:
		return exitKept
	}
}
