package invalidation

import (
	"fmt"
	"testing"
	"time"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

func TestTheAckLogForgetsWhatIsOldEnough(t *testing.T) {
	var l ackLog
	l.init(1, 100)
	key := func(i int) []keyspace.Key { return []keyspace.Key{keyspace.Of("region", fmt.Sprint(i))} }
	at := func(s int) int64 { return int64(time.Duration(s) * time.Second) }

	l.add(0, key(1), at(1))
	l.add(0, key(2), at(5))
	l.addRegions(0, []string{"old"}, at(2))
	l.addRegions(0, []string{"new"}, at(6))
	l.confirmed(0, at(14)) // so 4 s and later may be missing on another primary
	l.add(0, key(3), at(20))
	keys, regions := l.take(0)
	if fmt.Sprint(keys) != fmt.Sprint(append(key(2), key(3)...)) || fmt.Sprint(regions) != "[new]" {
		t.Errorf("took %v and %v", keys, regions)
	}
	if keys, regions := l.take(0); len(keys)+len(regions) > 0 {
		t.Errorf("took %v and %v again", keys, regions)
	}
}

func TestTheAckLogStaysBounded(t *testing.T) {
	var l ackLog
	l.init(4, 400)
	for i := range 1000 {
		l.add(2, []keyspace.Key{keyspace.Of(fmt.Sprint("region", i%3), fmt.Sprint(i))}, int64(i))
		if n := len(l.parts[2].keys); n > 100 {
			t.Fatalf("holds %d keys", n)
		}
	}
	if _, regions := l.take(2); len(regions) != 3 {
		t.Errorf("regions of the forgotten keys: %v", regions)
	}
}
