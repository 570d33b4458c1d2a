package tiered_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/doppio-cache/doppio/internal/redistest"
	"github.com/doppio-cache/doppio/tiered"
)

// What README says that the user must be allowed is enough for all that a node
// does.
func TestUserThatMayDoNoMore(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client(t)
	rules := append([]any{"acl", "setuser", "shop", "on", ">secret"}, rulesInReadme(t)...)
	if err := admin.Do(t.Context(), rules...).Err(); err != nil {
		t.Fatal(err)
	}
	join := func() (*tiered.Node, *tiered.Region[string]) {
		c := server.Client(t, func(o *redis.Options) { o.Username, o.Password = "shop", "secret" })
		n := open(t, tiered.Options{Redis: c, Prefix: "shop", L2Timeout: patience})
		ready(t, n)
		return n, region(t, n, tiered.Config[string]{Name: "items", StaleFor: bound, SlidingTTL: bound, RefreshAhead: 0.01})
	}
	a, items := join()
	b, others := join()
	ctx := t.Context()
	load := func(context.Context, string) (string, error) { return "v", nil }
	for _, r := range []*tiered.Region[string]{items, others} {
		if v, err := r.GetOrLoad(ctx, "k", load, tiered.WithTags("t")); err != nil || v != "v" {
			t.Fatal(v, err)
		}
	}
	succeeds(t, items.Set(ctx, "s", "v"))
	succeeds(t, items.SetMany(ctx, map[string]string{"a": "v", "b": "v"}))
	succeeds(t, items.Delete(ctx, "a", "s"))
	succeeds(t, items.Expire(ctx, "k"))
	succeeds(t, a.InvalidateTags(ctx, "t"))
	succeeds(t, items.Mutate(ctx, []string{"k"}, func(context.Context) error { return nil }))
	succeeds(t, items.Clear(ctx))
	_, err := items.LoadIf(ctx, "c", func(context.Context, string, tiered.Entry[string]) (string, tiered.Validator, error) {
		return "v", "1", nil
	})
	succeeds(t, err)
	_, err = items.LoadIf(ctx, "c", func(_ context.Context, _ string, prev tiered.Entry[string]) (string, tiered.Validator, error) {
		if prev.Validator == "1" {
			return "", "", tiered.ErrUnchanged
		}
		return "v", "1", nil
	}, tiered.ForceLoad())
	succeeds(t, err)
	eventually(t, "reads touch values", func() bool {
		_, err := items.GetOrLoad(ctx, "k", load)
		return err == nil && server.Commands(t, "pexpire") > 2
	})
	eventually(t, "the other instance hears of it", func() bool { return b.Stats().Received > 0 })
	for _, n := range []*tiered.Node{a, b} {
		if s := n.Stats(); s.Degraded || s.PendingRetries > 0 {
			t.Errorf("stats %+v", s)
		}
	}
	log, err := admin.Do(ctx, "acl", "log").Slice()
	if err != nil || len(log) > 0 {
		t.Errorf("refused: %v, %v", log, err)
	}
}

// rulesInReadme are the commands that README lists for the user's ACL.
func rulesInReadme(t *testing.T) (rules []any) {
	t.Helper()
	file, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(file), "ACL SETUSER shop on >secret ")
	text, _, ended := strings.Cut(text, "```")
	if !found || !ended {
		t.Fatal("README has no line for the user's ACL")
	}
	for rule := range strings.FieldsSeq(strings.ReplaceAll(text, "\\\n", " ")) {
		rules = append(rules, rule)
	}
	return rules
}
