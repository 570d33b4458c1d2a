package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/doppio-cache/doppio/internal/chaos/fault"
	"github.com/doppio-cache/doppio/internal/chaos/fleet"
	"github.com/doppio-cache/doppio/internal/chaos/instance"
	"github.com/doppio-cache/doppio/internal/chaos/report"
	"github.com/doppio-cache/doppio/internal/chaos/round"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := error(nil)
	if instance.Requested() {
		err = instance.Run(ctx)
	} else {
		err = control(ctx, os.Args[1:], os.Stdout)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// files are what a run leaves behind.
type files struct{ markdown, chart string }

// errBroken says that Doppio has broken a promise.
var errBroken = errors.New("violations of Doppio's guarantees")

// control is the controller.
func control(ctx context.Context, args []string, out io.Writer) (err error) {
	opts, to, err := parse(args, out)
	if err != nil {
		return err
	}
	tb := fleet.NewOutside(os.Stderr)
	defer tb.Close()
	defer func() {
		if p := recover(); p != nil {
			fatal, ok := p.(fleet.Fatal)
			if !ok {
				panic(p) //nolint:forbidigo // not ours
			}
			err = fatal
		}
	}()
	r := round.Run(ctx, tb, opts)
	fmt.Fprintln(out)
	report.Text(out, r)
	if err := write(r, to); err != nil {
		return err
	}
	total := r.Total()
	switch {
	case total.Tallies[wire.Doppio].Broken() > 0:
		return errBroken
	case tb.Failed():
		return errors.New("the run itself went wrong")
	}
	return nil
}

func parse(args []string, out io.Writer) (opts round.Options, to files, err error) {
	f := &opts.Fleet
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&f.Instances, "instances", 4, "how many instances")
	flags.DurationVar(&f.Bound, "bound", time.Second, "D: staleness above it is a violation")
	flags.DurationVar(&f.Library, "library-bound", 0, "MaxStaleness that Doppio is given; 0: D. A much longer one makes its probe useless, and violations must show")
	flags.IntVar(&f.Keys, "keys", 2000, "how many keys")
	flags.DurationVar(&f.TTL, "ttl", 30*time.Second, "life of a value in both tiers of both systems")
	flags.BoolVar(&f.Features, "features", true, "tags, batches, Set, Mutate, Clear, and a region with short lives; false: GetOrLoad and Delete alone")
	flags.DurationVar(&f.Latency, "load-latency", 5*time.Millisecond, "how long a load takes")
	flags.Uint64Var(&f.Seed, "seed", 1, "of keys, victims and the storm (the scheduler has none)")
	flags.DurationVar(&opts.Hold, "hold", 3500*time.Millisecond, "how long each fault lasts")
	flags.DurationVar(&opts.Calm, "calm", 8*time.Second, "time before the first fault")
	words := flags.String("faults", "", "only those whose label contains one of these, comma separated")
	list := flags.Bool("list", false, "list the faults, and do nothing")
	flags.StringVar(&to.markdown, "markdown", "", "write the report there")
	flags.StringVar(&to.chart, "chart", "", "write the chart there: .svg, .png or .pdf")
	if err := flags.Parse(args); err != nil {
		return opts, to, err
	}
	if f.Library == 0 {
		f.Library = f.Bound
	}
	opts.Faults = fault.All()
	if *words != "" {
		opts.Faults = fault.Named(opts.Faults, strings.Split(*words, ","))
	}
	if !f.Features {
		opts.Faults = slices.DeleteFunc(opts.Faults, func(f fault.Fault) bool { return f.Features })
	}
	opts.Progress, f.Output = out, os.Stderr
	if *list {
		for _, f := range opts.Faults {
			fmt.Fprintf(out, "%-24s %s\n", f.Label, f.Name)
		}
		return opts, to, flag.ErrHelp
	}
	if len(opts.Faults) == 0 || f.Instances < 1 || f.Keys < 2 {
		return opts, to, errors.New("at least one fault, one instance and two keys are needed; see -list")
	}
	return opts, to, nil
}

// write writes the files that were asked for.
func write(r *round.Result, to files) error {
	if to.chart != "" {
		var chart bytes.Buffer
		if err := report.Chart(&chart, r, strings.TrimPrefix(filepath.Ext(to.chart), ".")); err != nil {
			return err
		}
		if err := os.WriteFile(to.chart, chart.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if to.markdown == "" {
		return nil
	}
	chart := to.chart
	if rel, err := filepath.Rel(filepath.Dir(to.markdown), to.chart); err == nil {
		chart = rel
	}
	var text bytes.Buffer
	report.Markdown(&text, r, command(), chart)
	return os.WriteFile(to.markdown, text.Bytes(), 0o644)
}

// command is how this run was asked for.
func command() string {
	if len(os.Args) == 1 {
		return "make chaos"
	}
	return `make chaos ARGS="` + strings.Join(os.Args[1:], " ") + `"`
}
