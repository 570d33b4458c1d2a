package keyspace_test

import (
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/doppio-cache/doppio/internal/keyspace"
)

func TestNamesAreStable(t *testing.T) {
	l, err := keyspace.New("shop", 32)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][2]string{
		"value":     {l.Value(7, "products", "a:b"), "shop:{1.32.7}:v:products:a:b"},
		"lease":     {l.Lease(7, "products", "a:b"), "shop:{1.32.7}:l:products:a:b"},
		"sequence":  {l.Sequence(31), "shop:{1.32.31}:s"},
		"clear":     {l.Clear(0, "products"), "shop:{1.32.0}:c:products"},
		"epoch":     {l.Epoch(0), "shop:{1.32.0}:e"},
		"tag":       {l.Tag(3, "brand:x"), "shop:{1.32.3}:t:brand:x"},
		"channel":   {l.Channel(), "shop:1.32:invalidations"},
		"agreement": {l.AgreementKey() + "=" + l.Agreement(), "shop:layout=1.32"},
	}
	for name, tt := range tests {
		if tt[0] != tt[1] {
			t.Errorf("%s: got %q, want %q", name, tt[0], tt[1])
		}
	}
}

func TestNewRefusesWhatWouldBreakTheHashTag(t *testing.T) {
	tests := []struct {
		name       string
		prefix     string
		partitions int
		want       string
	}{
		{"no prefix", "", 32, "prefix is empty"},
		{"brace", "a{b", 32, "'{' or '}'"},
		{"long prefix", strings.Repeat("x", 257), 32, "257 bytes"},
		{"no partitions", "a", 0, "between 1 and 256"},
		{"too many partitions", "a", 257, "between 1 and 256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := keyspace.New(tt.prefix, tt.partitions); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one that contains %q", err, tt.want)
			}
		})
	}
	if _, err := keyspace.New("{", 0); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("both problems must be named at once, got %v", err)
	}
}

func TestHashIsXXHash64OfRegionColonKey(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 54, 55, 56, 150, 246, 247, 248, 1024} {
		key := strings.Repeat("k", n)
		if got, want := keyspace.Hash("products", key), xxhash.Sum64String("products:"+key); got != want {
			t.Errorf("key of %d bytes: got %x, want %x", n, got, want)
		}
	}
	if got, want := keyspace.Hash("products", "42"), uint64(0xa5d6a56a1a6b98ee); got != want {
		t.Errorf("the hash is part of the protocol: got %#x, want %#x", got, want)
	}
}

func TestHashDoesNotAllocate(t *testing.T) {
	for _, key := range []string{"42", strings.Repeat("k", 200), strings.Repeat("k", 1024)} {
		if n := testing.AllocsPerRun(100, func() { keyspace.Hash("products", key) }); n != 0 {
			t.Errorf("key of %d bytes: %v allocations", len(key), n)
		}
	}
}
