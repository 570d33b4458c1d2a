package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/load"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/oracle"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/report"
)

const (
	instances  = 3
	l1MaxBytes = 64 << 20
	// unprobed is the MaxStaleness of -probe=false: the node asks Redis for the
	// sequence four times in it, so within the run it never does.
	unprobed = time.Hour
)

// outcome of a run.
type outcome struct {
	complete bool // not interrupted
	broken   bool // Doppio did not keep its promise
	results  []load.Result
}

// simulate makes the run, and with -serve waits for its interruption.
func simulate(ctx context.Context, cfg config, stdout, stderr io.Writer) (out outcome, err error) {
	// What was started is stopped even if the run was interrupted, but not
	// waited for forever.
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()
	ending := context.WithoutCancel(ctx)
	shared, err := openServers(ctx, cfg)
	defer func() { err = errors.Join(err, bounded(ending, shared.close)) }()
	if err != nil {
		return out, err
	}

	var targets []*load.Target
	for _, kind := range []fleet.Kind{fleet.Doppio, fleet.Baseline} {
		f, failed := startFleet(ctx, cfg, shared, kind, stderr)
		if failed != nil {
			return out, failed
		}
		defer func() { err = errors.Join(err, bounded(ending, f.Close)) }()
		t := load.NewTarget(f, oracle.New(cfg.bound))
		defer t.Close()
		targets = append(targets, t)
	}

	style := report.StyleFor(stdout, os.Getenv)
	report.Intro(stdout, style, intro(cfg))
	progress := report.NewProgress(stdout, style, string(fleet.Doppio), string(fleet.Baseline))
	out.results = load.Run(ctx, load.Options{
		Seed: cfg.seed, Duration: cfg.duration, Clients: cfg.clients, Rate: cfg.rate, Bound: cfg.bound,
	}, targets, progress.Tick)
	progress.Done()
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	out.complete = true
	fmt.Fprintln(stdout)
	report.Table(stdout, style, cfg.bound, out.results)
	out.broken = report.Conclusion(stdout, style, cfg.bound, cfg.probe, out.results)

	if cfg.serve {
		serve(ctx, stdout, targets)
	}
	return out, nil
}

// bounded gives f some seconds.
func bounded(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	return f(ctx)
}

// intro says what is about to run.
func intro(cfg config) string {
	where := "Redis: miniredis, in this process"
	if cfg.redis != "" {
		where = "Redis: as given"
	}
	if cfg.postgres != "" {
		where += "; database: PostgreSQL, as given"
	} else {
		where += "; database: SQLite, in a temporary file"
	}
	return fmt.Sprintf("%d instances of a shop service, twice: with Doppio and with a plain cache-aside baseline.\n"+
		"%s. %v, seed %d, bound %v.", instances, where, cfg.duration, cfg.seed, cfg.bound)
}

// startFleet starts the instances of one system over a database of their own.
func startFleet(ctx context.Context, cfg config, shared *servers, kind fleet.Kind, stderr io.Writer) (*fleet.Fleet, error) {
	db, err := shared.database(ctx, string(kind))
	if err != nil {
		return nil, err
	}
	maxStaleness := cfg.bound
	if !cfg.probe {
		maxStaleness = unprobed
	}
	logger := slog.New(slog.DiscardHandler)
	if cfg.verbose {
		logger = slog.New(slog.NewTextHandler(stderr, nil))
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	return fleet.Start(ctx, fleet.Options{
		Kind:          kind,
		Instances:     instances,
		DB:            db,
		Redis:         shared.redis,
		Prefix:        shared.prefix(string(kind)),
		L1MaxBytes:    l1MaxBytes,
		L2Timeout:     cfg.l2Timeout,
		MaxStaleness:  maxStaleness,
		BaselineL1TTL: cfg.baselineL1TTL,
		Logger:        logger,
	})
}
