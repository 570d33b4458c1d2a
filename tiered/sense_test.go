package tiered_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// Which option makes sense for which call, in each mode; all others are errors.
func TestWhichOptionsACallTakes(t *testing.T) {
	inEachMode(t, func(t *testing.T, n *tiered.Node, mode tiered.Mode) {
		ctx := t.Context()
		r := region(t, n, tiered.Config[int]{Name: "items", Mode: mode})
		load := func(context.Context, string) (int, error) { return 1, nil }
		loadMany := func(context.Context, []string) (map[string]int, error) { return nil, nil }
		loadIf := func(context.Context, string, tiered.Entry[int]) (int, tiered.Validator, error) { return 1, "", nil }
		one := tiered.Bind(r, func(k string) string { return k }, load)
		keys := []string{"k"}
		options := map[string]tiered.Option{
			"TTL": tiered.WithTTL(time.Second), "tags": tiered.WithTags("a"), "info": tiered.WithInfo(new(tiered.Info)),
			"bypass": tiered.BypassL1(), "force": tiered.ForceLoad(),
		}
		senseless := map[string]tiered.Option{
			"no TTL": tiered.WithTTL(0), "a negative TTL": tiered.WithTTL(-1), "nil info": tiered.WithInfo(nil),
			"an empty tag": tiered.WithTags(""), "a long tag": tiered.WithTags(strings.Repeat("x", tiered.MaxTagBytes+1)),
			"the zero option": {},
		}
		calls := map[string]struct {
			takes []string
			do    func(o tiered.Option) error
		}{
			"Get":             {[]string{"info", "bypass"}, func(o tiered.Option) error { _, err := r.Get(ctx, "k", o); return err }},
			"GetMany":         {[]string{"bypass"}, func(o tiered.Option) error { _, err := r.GetMany(ctx, keys, o); return err }},
			"Set":             {[]string{"TTL", "tags"}, func(o tiered.Option) error { return r.Set(ctx, "k", 1, o) }},
			"SetMany":         {[]string{"TTL", "tags"}, func(o tiered.Option) error { return r.SetMany(ctx, map[string]int{"k": 1}, o) }},
			"GetOrLoad":       {[]string{"TTL", "tags", "info", "bypass", "force"}, func(o tiered.Option) error { _, err := r.GetOrLoad(ctx, "k", load, o); return err }},
			"LoadIf":          {[]string{"TTL", "tags", "info", "bypass", "force"}, func(o tiered.Option) error { _, err := r.LoadIf(ctx, "k", loadIf, o); return err }},
			"Loading.Get":     {[]string{"TTL", "tags", "info", "bypass", "force"}, func(o tiered.Option) error { _, err := one.Get(ctx, "k", o); return err }},
			"GetOrLoadMany":   {[]string{"TTL", "tags", "bypass", "force"}, func(o tiered.Option) error { _, err := r.GetOrLoadMany(ctx, keys, loadMany, o); return err }},
			"Loading.GetMany": {[]string{"TTL", "tags", "bypass", "force"}, func(o tiered.Option) error { _, err := one.GetMany(ctx, keys, o); return err }},
		}
		for name, call := range calls {
			for opt, o := range options {
				want := slices.Contains(call.takes, opt) && (opt != "bypass" || mode != tiered.L1Only)
				if err := call.do(o); errors.Is(err, tiered.ErrInvalidOption) == want {
					t.Errorf("%s with %s: %v; want that it makes sense: %v", name, opt, err, want)
				}
			}
			for opt, o := range senseless {
				if err := call.do(o); !errors.Is(err, tiered.ErrInvalidOption) && !errors.Is(err, tiered.ErrInvalidTag) {
					t.Errorf("%s with %s: %v", name, opt, err)
				}
			}
		}
	})
}
