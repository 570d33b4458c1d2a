package fence_test

import (
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/fence"
)

func TestBehindIsWhatIsOlderThanTheStampKnew(t *testing.T) {
	const hash = 3
	tests := []struct {
		name   string
		before func(*fence.Table) // the stamp is taken
		after  func(*fence.Table)
		seq    uint64
		want   bool
	}{
		{"nothing is known", func(*fence.Table) {}, func(*fence.Table) {}, 0, false},
		{"below the floor", func(t *fence.Table) { ownOfAll(t, 0, 5) }, func(*fence.Table) {}, 4, true},
		{"below the stripe", func(t *fence.Table) { own(t, hash, 5) }, func(*fence.Table) {}, 4, true},
		{"as of the same number", func(t *fence.Table) { ownOfAll(t, 0, 5); own(t, hash, 5) }, func(*fence.Table) {}, 5, false},
		{"heard after the stamp", func(*fence.Table) {}, func(t *fence.Table) { own(t, hash, 5); ownOfAll(t, 0, 5) }, 4, false},
		{"a voiding is no number", func(t *fence.Table) { t.Void(hash) }, func(*fence.Table) {}, 0, false},
		{"of another generation", func(t *fence.Table) { ownOfAll(t, 0, 5) }, func(t *fence.Table) { t.Restart(0, 2) }, 3, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := fence.New(1, time.Second, 1<<20)
			tt.before(table)
			stamp := table.Stamp(hash)
			tt.after(table)
			mark := stamp.At(tt.seq)
			if got := table.Behind(&stamp, &mark); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
