package catalog_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin/origintest"
	"github.com/doppio-cache/doppio/tiered"
)

// spy is a cache that holds nothing and remembers what it was asked for.
type spy[V any] struct {
	tiered.Cache[V]
	keys []string
}

func newSpy[V any]() *spy[V] { return &spy[V]{Cache: tiered.Noop[V]()} }

func (s *spy[V]) GetOrLoad(ctx context.Context, key string, load func(context.Context, string) (V, error), opts ...tiered.Option) (V, error) {
	s.keys = append(s.keys, key)
	return s.Cache.GetOrLoad(ctx, key, load, opts...)
}

// recorder remembers events.
type recorder struct {
	events []events.Event
	err    error
	during func() // runs while an event is handled
}

func (r *recorder) Handle(_ context.Context, e events.Event) error {
	if r.during != nil {
		r.during()
	}
	r.events = append(r.events, e)
	return r.err
}

type fixture struct {
	db        *origin.DB
	products  *spy[catalog.Product]
	bySKU     *spy[int64]
	firstPage *spy[[]catalog.Listing]
	stock     *spy[int64]
	events    *recorder
	*catalog.Repository
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		db: origintest.Open(t), products: newSpy[catalog.Product](), bySKU: newSpy[int64](),
		firstPage: newSpy[[]catalog.Listing](), stock: newSpy[int64](), events: &recorder{},
	}
	f.Repository = catalog.NewRepository(f.db, catalog.Caches{
		Products: f.products, BySKU: f.bySKU, FirstPage: f.firstPage, Stock: f.stock,
	}, f.events)
	return f
}

func TestProduct(t *testing.T) {
	f := newFixture(t)
	p, err := f.Product(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != 7 || p.SKU != "SKU-100007" || p.PriceCents <= 0 || p.Version != 1 {
		t.Errorf("product %+v", p)
	}
	if !slices.Equal(f.products.keys, []string{"7"}) {
		t.Errorf("cache was asked for %q", f.products.keys)
	}
}

// The cache remembers absence only of errors that are tiered.ErrNotFound.
func TestWhatDoesNotExistIsErrNotFound(t *testing.T) {
	f := newFixture(t)
	_, err := f.Product(t.Context(), 999_999)
	if !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("Product: %v", err)
	}
	if _, err := f.ProductBySKU(t.Context(), "SKU-none"); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("ProductBySKU: %v", err)
	}
	if _, err := f.StockLevel(t.Context(), 999_999); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("StockLevel: %v", err)
	}
	if _, err := f.Update(t.Context(), 999_999, priceOf(1)); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("Update: %v", err)
	}
	if len(f.events.events) > 0 {
		t.Errorf("events %v of a change that did not happen", f.events.events)
	}
}

func TestProductBySKUGoesThroughTheID(t *testing.T) {
	f := newFixture(t)
	p, err := f.ProductBySKU(t.Context(), "SKU-100007")
	if err != nil || p.ID != 7 {
		t.Fatalf("product %+v, %v", p, err)
	}
	if !slices.Equal(f.bySKU.keys, []string{"SKU-100007"}) || !slices.Equal(f.products.keys, []string{"7"}) {
		t.Errorf("caches were asked for %q and %q", f.bySKU.keys, f.products.keys)
	}
}

func TestOnlyTheFirstUnfilteredPageIsCached(t *testing.T) {
	tests := map[string]struct {
		filter catalog.Filter
		first  int64 // id
		cached bool
	}{
		"first page":          {catalog.Filter{Page: 1}, 1, true},
		"second page":         {catalog.Filter{Page: 2}, 1 + catalog.PageSize, false},
		"first of a category": {catalog.Filter{Page: 1, Category: "kitchen"}, 4, false},
	}
	f := newFixture(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f.firstPage.keys = nil
			page, err := f.List(t.Context(), tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) != catalog.PageSize || page[0].ID != tt.first {
				t.Errorf("%d products, the first %+v", len(page), page[0])
			}
			if got := len(f.firstPage.keys) == 1; got != tt.cached {
				t.Errorf("cache asked: %v, want %v", got, tt.cached)
			}
		})
	}
	if _, err := f.List(t.Context(), catalog.Filter{}); !errors.Is(err, catalog.ErrInvalid) {
		t.Errorf("page 0: %v", err)
	}
}

func priceOf(cents int64) catalog.Change { return catalog.Change{PriceCents: &cents} }

func skuOf(sku string) catalog.Change { return catalog.Change{SKU: &sku} }

func TestUpdateAnnouncesAfterTheCommit(t *testing.T) {
	f := newFixture(t)
	var seen catalog.Product
	f.events.during = func() {
		var err error
		if seen, err = f.Product(t.Context(), 7); err != nil {
			t.Error(err)
		}
	}
	now, err := f.Update(t.Context(), 7, priceOf(4711))
	if err != nil {
		t.Fatal(err)
	}
	if now.PriceCents != 4711 || now.Version != 2 {
		t.Errorf("updated to %+v", now)
	}
	if seen != now {
		t.Errorf("while the event was handled, the database had %+v, want %+v", seen, now)
	}
	want := events.ProductUpdated{ProductID: 7, SKU: "SKU-100007", OldSKU: "SKU-100007"}
	if !slices.Equal(f.events.events, []events.Event{want}) {
		t.Errorf("events %+v, want %+v", f.events.events, want)
	}
}

func TestUpdateOfASKUNamesBoth(t *testing.T) {
	f := newFixture(t)
	now, err := f.Update(t.Context(), 7, skuOf("new:7"))
	if err != nil {
		t.Fatal(err)
	}
	if now.SKU != "new:7" {
		t.Errorf("updated to %+v", now)
	}
	want := events.ProductUpdated{ProductID: 7, SKU: "new:7", OldSKU: "SKU-100007"}
	if !slices.Equal(f.events.events, []events.Event{want}) {
		t.Errorf("events %+v, want %+v", f.events.events, want)
	}
}

func TestUpdateRefuses(t *testing.T) {
	tests := map[string]struct {
		change catalog.Change
		want   error
	}{
		"nothing":       {catalog.Change{}, catalog.ErrInvalid},
		"a free price":  {priceOf(0), catalog.ErrInvalid},
		"an empty SKU":  {skuOf(""), catalog.ErrInvalid},
		"another's SKU": {skuOf("SKU-100008"), catalog.ErrSKUTaken},
	}
	f := newFixture(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := f.Update(t.Context(), 7, tt.change); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	if p, err := f.Product(t.Context(), 7); err != nil || p.Version != 1 {
		t.Errorf("product %+v, %v: it has changed", p, err)
	}
	if len(f.events.events) > 0 {
		t.Errorf("events %v of changes that did not happen", f.events.events)
	}
}

// A change that could not be announced has happened all the same.
func TestUpdateThatCouldNotBeAnnounced(t *testing.T) {
	f := newFixture(t)
	f.events.err = &tiered.PendingError{Err: errors.New("connection lost")}
	now, err := f.Update(t.Context(), 7, priceOf(4711))
	if !errors.Is(err, events.ErrAfterCommit) {
		t.Fatalf("error %v, want ErrAfterCommit", err)
	}
	if _, ok := errors.AsType[*tiered.PendingError](err); !ok {
		t.Errorf("error %v does not say why", err)
	}
	if now.PriceCents != 4711 {
		t.Errorf("returned %+v", now)
	}
}
