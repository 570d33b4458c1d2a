package tiered

import "testing"

// Of the keys that wait for others' leases a few are asked about each time, from
// all over the convoy, and each of them when its turn comes.
func TestWhichOfThoseThatWaitAreAskedAbout(t *testing.T) {
	for _, n := range []int{1, askedAtOnce, 100, 2000, 50_000} {
		c := &convoy{riders: make([]*rider, n)}
		for i := range c.riders {
			c.riders[i] = &rider{next: step{do: wait}}
		}
		c.riders = append(c.riders, &rider{next: step{do: ask}})
		seen := make(map[*rider]bool)
		most, rounds := 2*max(askedAtOnce, n/askedTurns), 0
		for ; len(seen) < n && rounds <= n; rounds++ {
			c.choose()
			due, last := 0, -1
			for i, r := range c.riders {
				if !r.due {
					continue
				}
				if r.next.do != wait {
					t.Fatal("one that does not wait is asked about")
				}
				if due++; last >= 0 && i-last > 2*askedTurns {
					t.Errorf("of %d, none of those between %d and %d is asked about", n, last, i)
				}
				last = i
				seen[r] = true
			}
			if due == 0 || due > most {
				t.Fatalf("%d of %d are asked about at once, want %d at most", due, n, most)
			}
		}
		if rounds > askedTurns+2 {
			t.Errorf("it takes %d rounds to ask about all of %d", rounds, n)
		}
	}
}
