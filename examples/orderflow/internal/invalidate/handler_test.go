package invalidate_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/invalidate"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/regions"
)

// deleter remembers its calls.
type deleter struct {
	calls [][]regions.Entry
	err   error
}

func (d *deleter) Delete(_ context.Context, entries ...regions.Entry) error {
	d.calls = append(d.calls, entries)
	return d.err
}

func entry(region, key string) regions.Entry { return regions.Entry{Region: region, Key: key} }

func TestEachEventInvalidatesExactly(t *testing.T) {
	tests := map[string]struct {
		event events.Event
		want  []regions.Entry
	}{
		"price changed": {
			event: events.ProductUpdated{ProductID: 7, SKU: "SKU-7", OldSKU: "SKU-7"},
			want:  []regions.Entry{entry("products", "7"), entry("product-list", "page:1")},
		},
		"SKU changed": {
			event: events.ProductUpdated{ProductID: 7, SKU: "new:7", OldSKU: "SKU-7"},
			want:  []regions.Entry{entry("products", "7"), entry("product-list", "page:1"), entry("product-by-sku", "SKU-7"), entry("product-by-sku", `new\:7`)},
		},
		"order placed": {
			event: events.OrderPlaced{OrderID: "ord-1", CustomerID: 3, ProductIDs: []int64{7, 8}},
			want:  []regions.Entry{entry("order-summaries", "3"), entry("stock", "7"), entry("stock", "8")},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var cache deleter
			if err := invalidate.NewHandler(&cache).Handle(t.Context(), tt.event); err != nil {
				t.Fatal(err)
			}
			if len(cache.calls) != 1 {
				t.Fatalf("%d calls of Delete, want one for all regions", len(cache.calls))
			}
			if got := cache.calls[0]; !slices.Equal(got, tt.want) {
				t.Errorf("deleted %v, want %v", got, tt.want)
			}
		})
	}
}

func TestHandleReturnsTheCachesError(t *testing.T) {
	cache := deleter{err: errors.New("not confirmed")}
	err := invalidate.NewHandler(&cache).Handle(t.Context(), events.OrderPlaced{CustomerID: 3})
	if !errors.Is(err, cache.err) {
		t.Errorf("error %v, want %v", err, cache.err)
	}
}
