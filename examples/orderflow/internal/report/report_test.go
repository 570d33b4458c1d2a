package report_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/load"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/oracle"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/report"
)

// kept is the result of a run in which nothing went wrong.
func kept() load.Result {
	return load.Result{
		Kind: fleet.Doppio, Requests: 12345, Statements: 678, StampedeLoads: 1, LagLimit: 2 * time.Second,
		Latencies: []time.Duration{time.Millisecond, 20 * time.Millisecond},
		Lags:      []time.Duration{0, 900 * time.Millisecond},
		Regions:   map[string]fleet.Counts{"products": {L1Hits: 9, L1Misses: 1, L2Hits: 1, L2Misses: 3, Loads: 3}},
		Verdict:   oracle.Verdict{Reads: 1000, Worst: 900 * time.Millisecond, WorstOfAll: 1500 * time.Millisecond},
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	report.Table(&out, report.Style{}, time.Second, []load.Result{kept()})
	for row, want := range map[string]string{
		"requests":                        "12,345",
		"response time, p50 / p99":        "20 ms / 20 ms / 20 ms",
		"  products":                      "90.0 %    25.0 %",
		"  customers":                     "-         -",
		"origin queries":                  "678",
		"loads in a stampede":             " 1",
		"invalidation lag, p50":           "900 ms",
		"worst staleness seen":            "900 ms",
		"  changes not yet confirmed":     "1.50 s",
		"reads older than the bound (1s)": " 0",
	} {
		if line := lineOf(out.String(), row); !strings.HasSuffix(line, want) {
			t.Errorf("row %q, want it to end with %q", line, want)
		}
	}
}

func lineOf(text, label string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, label) {
			return strings.TrimRight(line, "\n")
		}
	}
	return ""
}

// A lag that was given up waiting for is not shown as if it had been measured.
func TestLagBeyondTheLimit(t *testing.T) {
	r := kept()
	r.Lags = []time.Duration{0, 2 * time.Second}
	var out bytes.Buffer
	report.Table(&out, report.Style{}, time.Second, []load.Result{r})
	if line := lineOf(out.String(), "invalidation lag, p99"); !strings.HasSuffix(line, "> 2.00 s") {
		t.Errorf("row %q", line)
	}
}

func TestConclusion(t *testing.T) {
	tests := map[string]struct {
		change func(*load.Result)
		probed bool
		broken bool
		want   string
	}{
		"kept":                     {func(*load.Result) {}, true, false, "Doppio kept its promise: none of 1,000 answers"},
		"a read too old":           {func(r *load.Result) { r.Verdict.TooOld, r.Verdict.First = 3, "product 7" }, true, true, "3 reads were older than 1s. The first:\n  product 7"},
		"too old without probe":    {func(r *load.Result) { r.Verdict.TooOld = 3 }, false, true, "That was to be expected"},
		"kept without probe":       {func(*load.Result) {}, false, false, "nothing happened to go wrong"},
		"stampede":                 {func(r *load.Result) { r.StampedeLoads = 3 }, true, true, "3 loads instead of 1"},
		"stampede, Redis too slow": {func(r *load.Result) { r.StampedeLoads, r.Hindered = 3, true }, true, false, "kept its promise"},
		"errors":                   {func(r *load.Result) { r.Errors, r.FirstError = 2, errors.New("boom") }, true, true, "2 requests failed. The first: boom"},
		"lost invalidation":        {func(r *load.Result) { r.Unconfirmed = 1 }, true, true, "1 invalidations were not confirmed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, baseline := kept(), kept()
			tt.change(&r)
			baseline.Kind = fleet.Baseline
			baseline.Verdict.TooOld = 1000 // nobody has promised anything
			var out bytes.Buffer
			if got := report.Conclusion(&out, report.Style{}, time.Second, tt.probed, []load.Result{r, baseline}); got != tt.broken {
				t.Errorf("broken: %v, want %v", got, tt.broken)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("says %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// A line is written when a second is full; on a terminal it grows meanwhile.
func TestProgress(t *testing.T) {
	ticks := func(p *report.Progress) {
		for ms := 200; ms <= 2000; ms += 200 {
			p.Tick(load.Tick{
				Elapsed: time.Duration(ms)*time.Millisecond + time.Microsecond,
				Phase:   load.Phase{Fault: load.Dropping},
				Targets: []load.Moment{{Requests: uint64(ms), Counts: fleet.Counts{L1Hits: 3 * uint64(ms), L1Misses: uint64(ms)}, TooOld: uint64(ms / 1000)}},
			})
		}
		p.Done()
	}
	var piped, live bytes.Buffer
	ticks(report.NewProgress(&piped, report.Style{}, "doppio"))
	lines := strings.Split(strings.TrimRight(piped.String(), "\n"), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want a head of two and one for each second:\n%s", len(lines), piped.String())
	}
	for i, want := range []string{"1 s    1,000   75.0 %        1   pub/sub", "2 s    1,000   75.0 %        1   pub/sub"} {
		if !strings.HasPrefix(strings.TrimLeft(lines[2+i], " "), want) {
			t.Errorf("line %q, want %q", lines[2+i], want)
		}
	}
	ticks(report.NewProgress(&live, report.Style{Live: true}, "doppio"))
	if n := strings.Count(live.String(), "\r"); n < 10 {
		t.Errorf("on a terminal the line was written %d times, want at every tick", n)
	}
	if n := strings.Count(live.String(), "\n"); n != 4 {
		t.Errorf("on a terminal %d lines, want 4", n)
	}
}

func TestStyleOfWhatIsNoTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	getenv := func(string) string { return "" }
	if s := report.StyleFor(file, getenv); s != (report.Style{}) {
		t.Errorf("file: %+v", s)
	}
	if s := report.StyleFor(new(bytes.Buffer), getenv); s != (report.Style{}) {
		t.Errorf("buffer: %+v", s)
	}
}

// The null device stands for a terminal here: it is a character device too.
func TestStyleOfATerminal(t *testing.T) {
	terminal, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for name, tt := range map[string]struct {
		env  map[string]string
		want report.Style
	}{
		"nothing set": {nil, report.Style{Color: true, Live: true}},
		"NO_COLOR":    {map[string]string{"NO_COLOR": "1"}, report.Style{Live: true}},
		"dumb":        {map[string]string{"TERM": "dumb"}, report.Style{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := report.StyleFor(terminal, func(key string) string { return tt.env[key] }); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
