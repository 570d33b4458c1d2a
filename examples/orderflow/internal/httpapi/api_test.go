package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/customers"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/httpapi"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin/origintest"
	"github.com/doppio-cache/doppio/tiered"
)

// handler answers events with err.
type handler struct{ err error }

func (h *handler) Handle(context.Context, events.Event) error { return h.err }

// newAPI returns the service without a cache.
func newAPI(t *testing.T) (http.Handler, *handler) {
	t.Helper()
	db, told := origintest.Open(t), &handler{}
	api := &httpapi.API{
		Catalog: catalog.NewRepository(db, catalog.Caches{
			Products: tiered.Noop[catalog.Product](), BySKU: tiered.Noop[int64](),
			FirstPage: tiered.Noop[[]catalog.Listing](), Stock: tiered.Noop[int64](),
		}, told),
		Customers: customers.NewRepository(db, tiered.Noop[customers.Customer]()),
		Ordering:  ordering.NewRepository(db, tiered.Noop[[]ordering.Summary](), told),
		Stats:     func() any { return map[string]int{"hits": 1} },
		Logger:    slog.New(slog.DiscardHandler),
	}
	return api.Handler(), told
}

func ask(t *testing.T, api http.Handler, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	response := httptest.NewRecorder()
	api.ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return response
}

func TestAnswers(t *testing.T) {
	api, _ := newAPI(t)
	tests := []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/products", "", 200, `"id":20`},
		{"GET", "/products?page=2&category=garden", "", 200, `"id":81`},
		{"GET", "/products?page=0", "", 400, "counted from 1"},
		{"GET", "/products?page=two", "", 400, "not a page"},
		{"GET", "/products/7", "", 200, `"sku":"SKU-100007"`},
		{"GET", "/products/999999", "", 404, "not found"},
		{"GET", "/products/seven", "", 400, "not an id"},
		{"GET", "/products/7/stock", "", 200, `"level":10000`},
		{"GET", "/skus/SKU-100007", "", 200, `"id":7,`},
		{"GET", "/skus/none", "", 404, "not found"},
		{"GET", "/customers/3", "", 200, `"id":3`},
		{"GET", "/customers/999999", "", 404, "not found"},
		{"GET", "/customers/3/orders", "", 200, "[]"},
		{"GET", "/cache", "", 200, `"hits":1`},
		{"PATCH", "/products/7", `{"price_cents": 4711}`, 200, `"price_cents":4711`},
		{"PATCH", "/products/7", `{"price": 4711}`, 400, "unknown field"},
		{"PATCH", "/products/7", `{"price_cents": -1}`, 400, "must be positive"},
		{"PATCH", "/products/7", `{"sku": "SKU-100008"}`, 409, "another product"},
		{"PATCH", "/products/999999", `{"price_cents": 1}`, 404, "not found"},
		{"POST", "/orders", `{"customer_id": 3, "lines": [{"product_id": 7, "quantity": 2}]}`, 201, `"total_cents":9422`},
		{"POST", "/orders", `{"customer_id": 3}`, 400, "invalid order"},
		{"POST", "/orders", `{`, 400, "body"},
		{"POST", "/orders", `{"customer_id": 4, "lines": [{"product_id": 8, "quantity": 999}, {"product_id": 999999, "quantity": 1}]}`, 404, "not found"},
		{"GET", "/products/8/stock", "", 200, `"level":10000`},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			response := ask(t, api, tt.method, tt.path, tt.body)
			if response.Code != tt.status || !strings.Contains(response.Body.String(), tt.contains) {
				t.Errorf("%d %s; want %d and %q", response.Code, response.Body, tt.status, tt.contains)
			}
		})
	}
}

// A change that was committed is no failure, even if the cache could not be
// told yet: a client that repeated it would change twice.
func TestPendingInvalidationIsSuccess(t *testing.T) {
	api, told := newAPI(t)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, httpapi.Done},
		{&tiered.PendingError{Err: errors.New("connection lost")}, httpapi.Pending},
	} {
		told.err = tt.err
		changed := ask(t, api, "PATCH", "/products/7", `{"price_cents": 4711}`)
		if got := changed.Header().Get(httpapi.HeaderInvalidation); changed.Code != http.StatusOK || got != tt.want {
			t.Errorf("change: %d, %s %q; want 200 and %q", changed.Code, httpapi.HeaderInvalidation, got, tt.want)
		}
		placed := ask(t, api, "POST", "/orders", `{"customer_id": 3, "lines": [{"product_id": 7, "quantity": 1}]}`)
		if got := placed.Header().Get(httpapi.HeaderInvalidation); placed.Code != http.StatusCreated || got != tt.want {
			t.Errorf("order: %d, %s %q; want 201 and %q", placed.Code, httpapi.HeaderInvalidation, got, tt.want)
		}
	}
}
