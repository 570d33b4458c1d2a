package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/load"
	"github.com/doppio-cache/doppio/tiered"
)

// config is what the flags say.
type config struct {
	duration      time.Duration
	bound         time.Duration
	seed          uint64
	rate          int
	clients       int
	probe         bool
	serve         bool
	verbose       bool
	redis         string
	postgres      string
	originDelay   time.Duration
	l2Timeout     time.Duration
	baselineL1TTL time.Duration
}

// usage precedes the flags.
const usage = `Usage: go -C examples run ./orderflow [flags]

Three instances of a shop service share a cache in two tiers. They are driven with
a seeded load while their network to Redis is broken, once with Doppio and once with
a plain cache-aside baseline, at the same time.

`

func parseFlags(args []string, output io.Writer) (config, error) {
	cfg := config{}
	fs := flag.NewFlagSet("orderflow", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are printed by the caller, in one line
	fs.DurationVar(&cfg.duration, "duration", 10*time.Second, "length of the run")
	fs.DurationVar(&cfg.bound, "bound", time.Second, "Doppio's MaxStaleness, by which the oracle judges both")
	fs.Uint64Var(&cfg.seed, "seed", 1, "seed of the load; the same seed makes the same requests")
	fs.IntVar(&cfg.rate, "rate", 2000, "requests per second to each of the two systems")
	fs.IntVar(&cfg.clients, "clients", 8, "clients of each of the two systems")
	fs.BoolVar(&cfg.probe, "probe", true, "false: let Doppio only listen to messages and never ask for the sequence")
	fs.BoolVar(&cfg.serve, "serve", false, "keep the instances up after the run")
	fs.BoolVar(&cfg.verbose, "v", false, "show Doppio's log on stderr")
	fs.StringVar(&cfg.redis, "redis", "", "`address` (host:port or redis://…) of a standalone Redis; empty: miniredis in this process")
	fs.StringVar(&cfg.postgres, "postgres", "", "connection `string` of a PostgreSQL database; empty: SQLite in this process")
	fs.DurationVar(&cfg.originDelay, "origin-delay", time.Millisecond, "time added to each database statement, for the network that SQLite has not; with -postgres 0 by default")
	fs.DurationVar(&cfg.l2Timeout, "l2-timeout", tiered.DefaultL2Timeout, "longest wait for one call to Redis, of both systems")
	fs.DurationVar(&cfg.baselineL1TTL, "baseline-l1-ttl", 0, "longest life in the baseline's memory; 0: the region's life")
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(output, usage)
		fs.SetOutput(output)
		fs.PrintDefaults()
		return cfg, err
	}
	if err != nil {
		return cfg, fmt.Errorf("%w (-h lists all flags)", err)
	}
	if fs.NArg() > 0 {
		return cfg, fmt.Errorf("unexpected argument %q (-h lists all flags)", fs.Arg(0))
	}
	delayed := false
	fs.Visit(func(f *flag.Flag) { delayed = delayed || f.Name == "origin-delay" })
	if cfg.postgres != "" && !delayed {
		cfg.originDelay = 0
	}
	return cfg, cfg.validate()
}

func (cfg *config) validate() error {
	switch {
	case cfg.bound < 100*time.Millisecond:
		return fmt.Errorf("-bound is %v, must be at least 100ms", cfg.bound)
	case cfg.duration < load.MinDuration(cfg.bound):
		return fmt.Errorf("-duration is %v, must be at least %v: the faults last a fifth of it or more and have to outlast the bound of %v",
			cfg.duration, load.MinDuration(cfg.bound), cfg.bound)
	case cfg.rate < 1 || cfg.rate > 1_000_000:
		return fmt.Errorf("-rate is %d, must be between 1 and 1000000", cfg.rate)
	case cfg.clients < 1 || cfg.clients > 1000:
		return fmt.Errorf("-clients is %d, must be between 1 and 1000", cfg.clients)
	case cfg.l2Timeout <= 0:
		return fmt.Errorf("-l2-timeout is %v, must be positive", cfg.l2Timeout)
	case cfg.originDelay < 0:
		return fmt.Errorf("-origin-delay is negative (%v)", cfg.originDelay)
	case cfg.baselineL1TTL < 0:
		return fmt.Errorf("-baseline-l1-ttl is negative (%v)", cfg.baselineL1TTL)
	}
	return nil
}
