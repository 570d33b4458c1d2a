package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/doppio-cache/doppio/internal/model"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	names := flags.String("run", "", "`regexp` of scenarios to run, long or not; all long ones if empty")
	without := flags.String("without", "", "`rules` to leave out, comma-separated")
	with := flags.String("with", "", "`rules` to add that the code does not follow")
	limit := flags.Int("max", 0, "give up after so many `states`; 0: never")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*names)
	if err != nil {
		return err
	}
	rules, err := rulesOf(*with, *without)
	if err != nil {
		return err
	}
	scenarios := model.LongScenarios()
	if *names != "" {
		scenarios = append(model.Scenarios(), scenarios...)
		for _, h := range model.Holes() {
			scenarios = append(scenarios, h.Scenario)
		}
	}
	return check(scenarios, match, model.Options{Rules: rules, MaxStates: *limit}, out, progress)
}

func check(scenarios []*model.Scenario, match *regexp.Regexp, o model.Options, out, progress io.Writer) error {
	var bad []string
	start, states := time.Now(), 0
	fmt.Fprintf(out, "%-24s %12s %12s %6s %9s\n", "scenario", "states", "steps", "depth", "time")
	for _, sc := range scenarios {
		if !match.MatchString(sc.Name) {
			continue
		}
		last := time.Now()
		o.Progress = func(states, depth int) {
			if time.Since(last) > 5*time.Second {
				last = time.Now()
				fmt.Fprintf(progress, "… %s: %d states, depth %d\n", sc.Name, states, depth)
			}
		}
		r := sc.Check(o)
		states += r.States
		fmt.Fprintf(out, "%-24s %12d %12d %6d %9s", sc.Name, r.States, r.Steps, r.Depth, r.Took.Round(10*time.Millisecond))
		switch {
		case r.Broken != model.Holds:
			fmt.Fprintf(out, "\n%s\n%s", r.Broken, r.Trace)
			bad = append(bad, sc.Name)
		case !r.Complete:
			fmt.Fprint(out, "  incomplete")
			bad = append(bad, sc.Name)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%-24s %12d %29s\n", "all", states, time.Since(start).Round(time.Second))
	if bad != nil {
		return fmt.Errorf("broken or incomplete: %s", strings.Join(bad, ", "))
	}
	return nil
}

// rulesOf changes the rules that the code follows.
func rulesOf(with, without string) (model.Rules, error) {
	byName := make(map[string]model.Rule)
	for _, r := range model.AllRules() {
		byName[r.String()] = r
	}
	rules := model.AsBuilt()
	for _, change := range []struct {
		names string
		apply func(...model.Rule) model.Rules
	}{
		{with, func(r ...model.Rule) model.Rules { return rules.With(r...) }},
		{without, func(r ...model.Rule) model.Rules { return rules.Without(r...) }},
	} {
		for name := range strings.SplitSeq(change.names, ",") {
			if name == "" {
				continue
			}
			rule, known := byName[name]
			if !known {
				return model.Rules{}, fmt.Errorf("there is no rule %q", name)
			}
			rules = change.apply(rule)
		}
	}
	return rules, nil
}
