package tiered

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestOpenNamesAllProblemsAtOnce(t *testing.T) {
	var typedNil *redis.Client
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer ring.Close()
	readOnly := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ReadOnly: true})
	defer readOnly.Close()
	tests := []struct {
		name string
		opts Options
		want []string
	}{
		{"nothing given", Options{}, []string{"Redis is required", "prefix is empty"}},
		{"typed nil client", Options{Redis: typedNil, Prefix: "p"}, []string{"Redis is required"}},
		{"local with a client", Options{Redis: client, Local: true, Prefix: "p"}, []string{"Redis must be nil"}},
		{"ring", Options{Redis: ring, Prefix: "p"}, []string{"Ring"}},
		{"reads from replicas", Options{Redis: readOnly, Prefix: "p"}, []string{"ReadOnly"}},
		{"reads from replicas and more", Options{Redis: readOnly, Prefix: "{"}, []string{"ReadOnly", "'{' or '}'"}},
		{"braces", Options{Redis: client, Prefix: "a{b}"}, []string{"'{' or '}'"}},
		{"everything", Options{L1MaxBytes: -1, MaxStaleness: -time.Second, L2Timeout: -1, Partitions: 257},
			[]string{"L1MaxBytes is -1", "MaxStaleness is -1s", "L2Timeout is negative", "partitions is 257", "prefix is empty", "Redis is required"}},
		{"bound too tight", Options{Redis: client, Prefix: "p", MaxStaleness: 99 * time.Millisecond}, []string{"at least 100ms"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Open(context.Background(), tt.opts)
			if err == nil {
				n.Close()
				t.Fatal("no error")
			}
			if !errors.Is(err, ErrInvalidOption) {
				t.Errorf("%v is no ErrInvalidOption", err)
			}
			if n != nil {
				t.Error("an error came with a node")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestOptionsThatMakeNoSenseForACallAreErrors(t *testing.T) {
	ops := []operation{opGet, opGetOrLoad, opSet}
	tests := []struct {
		name   string
		opt    Option
		mode   Mode
		allows operation
	}{
		{"WithTTL", WithTTL(time.Second), BothTiers, opGetOrLoad | opSet},
		{"WithTTL(0)", WithTTL(0), BothTiers, 0},
		{"WithTTL(-1)", WithTTL(-1), BothTiers, 0},
		{"WithInfo", WithInfo(new(Info)), BothTiers, opGet | opGetOrLoad},
		{"WithInfo(nil)", WithInfo(nil), BothTiers, 0},
		{"BypassL1", BypassL1(), BothTiers, opGet | opGetOrLoad},
		{"BypassL1 of L2Only", BypassL1(), L2Only, opGet | opGetOrLoad},
		{"BypassL1 of L1Only", BypassL1(), L1Only, 0},
		{"ForceLoad", ForceLoad(), BothTiers, opGetOrLoad},
		{"zero Option", Option{}, BothTiers, 0},
	}
	for _, tt := range tests {
		for _, op := range ops {
			_, err := resolve(op, tt.mode, []Option{tt.opt})
			if allowed := tt.allows&op != 0; allowed != (err == nil) {
				t.Errorf("%s with %s: got error %v, want allowed: %v", tt.name, op, err, allowed)
			}
			if err != nil && !errors.Is(err, ErrInvalidOption) {
				t.Errorf("%s with %s: %v is no ErrInvalidOption", tt.name, op, err)
			}
		}
	}
	_, err := resolve(opGet, L1Only, []Option{WithTTL(-1), BypassL1(), {}})
	for _, want := range []string{"WithTTL", "BypassL1", "the zero Option"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// Durations as long as can be mean "for ever", not the past: ends are sums of a few.
func TestDurationsWithoutEnd(t *testing.T) {
	o := Options{MaxStaleness: math.MaxInt64, L2Timeout: math.MaxInt64}.withDefaults()
	for name, d := range map[string]time.Duration{"MaxStaleness": o.MaxStaleness, "L2Timeout": o.L2Timeout} {
		if sum := 4*d + maxLife; sum < maxLife || d < maxLife/4 {
			t.Errorf("%s is %v", name, d)
		}
	}
}
