package ordering_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin/origintest"
	"github.com/doppio-cache/doppio/tiered"
)

// recorder remembers events.
type recorder struct {
	events []events.Event
	err    error
}

func (r *recorder) Handle(_ context.Context, e events.Event) error {
	r.events = append(r.events, e)
	return r.err
}

type fixture struct {
	db     *origin.DB
	events *recorder
	*ordering.Repository
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{db: origintest.Open(t), events: &recorder{}}
	f.Repository = ordering.NewRepository(f.db, tiered.Noop[[]ordering.Summary](), f.events)
	return f
}

func (f *fixture) stock(t *testing.T, product int64) (level int64) {
	t.Helper()
	if err := f.db.QueryRow(t.Context(), `SELECT level FROM stock WHERE product_id = $1`, product).Scan(&level); err != nil {
		t.Fatal(err)
	}
	return level
}

func (f *fixture) price(t *testing.T, product int64) (cents int64) {
	t.Helper()
	if err := f.db.QueryRow(t.Context(), `SELECT price_cents FROM products WHERE id = $1`, product).Scan(&cents); err != nil {
		t.Fatal(err)
	}
	return cents
}

// lines makes lines of pairs of product and quantity.
func lines(pairs ...int64) (all []ordering.Line) {
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, ordering.Line{ProductID: pair[0], Quantity: pair[1]})
	}
	return all
}

func TestPlaceTakesTheGoods(t *testing.T) {
	f := newFixture(t)
	// Two lines of one product are one, and the order of lines does not matter.
	order, err := f.Place(t.Context(), ordering.Request{CustomerID: 3, Lines: lines(8, 1, 7, 2, 8, 4)})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.stock(t, 7); got != origin.StockPerItem-2 {
		t.Errorf("stock of product 7: %d", got)
	}
	if got := f.stock(t, 8); got != origin.StockPerItem-5 {
		t.Errorf("stock of product 8: %d", got)
	}
	if want := 2*f.price(t, 7) + 5*f.price(t, 8); order.TotalCents != want {
		t.Errorf("total %d, want %d", order.TotalCents, want)
	}
	want := events.OrderPlaced{OrderID: order.ID, CustomerID: 3, ProductIDs: []int64{7, 8}}
	if !reflect.DeepEqual(f.events.events, []events.Event{want}) {
		t.Errorf("events %+v, want %+v", f.events.events, want)
	}
	orders, err := f.Summaries(t.Context(), 3)
	if err != nil || !slices.Equal(orders, []ordering.Summary{order}) {
		t.Errorf("orders %+v, %v; want the one placed", orders, err)
	}
}

func TestPlaceDoesAllOrNothing(t *testing.T) {
	tests := map[string]struct {
		request ordering.Request
		want    error
	}{
		"no lines":          {ordering.Request{CustomerID: 3}, ordering.ErrInvalid},
		"nothing of a line": {ordering.Request{CustomerID: 3, Lines: lines(7, 0)}, ordering.ErrInvalid},
		"unknown customer":  {ordering.Request{CustomerID: 999_999, Lines: lines(7, 1)}, tiered.ErrNotFound},
		"unknown product":   {ordering.Request{CustomerID: 3, Lines: []ordering.Line{{7, 1}, {999_999, 1}}}, tiered.ErrNotFound},
		"out of stock":      {ordering.Request{CustomerID: 3, Lines: lines(7, 1, 8, 2)}, ordering.ErrOutOfStock},
	}
	f := newFixture(t)
	if _, err := f.db.Exec(t.Context(), `UPDATE stock SET level = 1 WHERE product_id = $1`, 8); err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := f.Place(t.Context(), tt.request); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got := f.stock(t, 7); got != origin.StockPerItem {
				t.Errorf("stock of product 7: %d, want it untouched", got)
			}
			if len(f.events.events) > 0 {
				t.Errorf("events %v of an order that was not placed", f.events.events)
			}
		})
	}
}

func TestPlaceThatCouldNotBeAnnounced(t *testing.T) {
	f := newFixture(t)
	f.events.err = errors.New("connection lost")
	order, err := f.Place(t.Context(), ordering.Request{CustomerID: 3, Lines: lines(7, 1)})
	if !errors.Is(err, events.ErrAfterCommit) || order.ID == "" {
		t.Errorf("order %+v, error %v; want the order and ErrAfterCommit", order, err)
	}
	if got := f.stock(t, 7); got != origin.StockPerItem-1 {
		t.Errorf("stock of product 7: %d: the order was not placed", got)
	}
}

func TestSummariesOfWhoHasNone(t *testing.T) {
	f := newFixture(t)
	if orders, err := f.Summaries(t.Context(), 3); err != nil || orders == nil || len(orders) != 0 {
		t.Errorf("without orders: %v, %v; want an empty list", orders, err)
	}
	if _, err := f.Summaries(t.Context(), 999_999); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("unknown customer: %v", err)
	}
}
