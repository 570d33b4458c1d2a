package tiered_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// replaceUnheard has a key invalidated by somebody whose message is lost, and then
// stored by a version of the service with another schema, as its key "other" was.
func (b *bubble) replaceUnheard(t *testing.T) {
	t.Helper()
	var k, other string
	for _, key := range b.redis.Keys() {
		switch {
		case strings.HasSuffix(key, ":v:items:k"):
			k = key
		case strings.HasSuffix(key, ":v:items:other"):
			other = key
		}
	}
	envelope, err := b.redis.Get(other)
	succeeds(t, err)
	sequence := strings.TrimSuffix(k, "v:items:k") + "s"
	s, err := b.redis.Get(sequence)
	succeeds(t, err)
	n, err := strconv.ParseInt(s, 10, 64)
	succeeds(t, err)
	succeeds(t, b.redis.Set(sequence, strconv.FormatInt(n+1, 10)))
	succeeds(t, b.redis.Set(k, envelope))
	b.redis.SetTTL(k, whole)
}

// Where Redis has a value of another schema, "unchanged" is about the copy that this
// instance has, and of the invalidation that came before the other value nothing was
// heard: the copy does not include it because Redis has counted it.
func TestLoadIfBesideAValueOfAnotherSchema(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		cfg := pages()
		r := region(t, b.node(t), cfg)
		next := cfg
		next.Schema = "next"
		other := region(t, b.node(t), next)
		d := &document{value: "old", validate: func(string) tiered.Validator { return "weak" }}
		d.is(t, r, "old", tiered.SourceLoad)
		pass(whole + near)
		succeeds(t, other.Set(t.Context(), "other", "x"))
		d.value = "new"
		b.replaceUnheard(t)
		d.is(t, r, "old", tiered.SourceLoad) // it may: nothing was heard, and the bound is not over
		d.was(t, 1, "", "old")
		pass(5 * time.Minute) // the bound is 4
		if got, err := r.LoadIf(t.Context(), "k", d.load); err != nil || got != "new" {
			t.Errorf("more than the bound after the invalidation: %q, %v", got, err)
		}
	})
}
