// Package httpapi is the service's HTTP interface.
//
//	GET   /products?page=1&category=garden   a page of the list
//	GET   /products/{id}                     a product
//	PATCH /products/{id}                     change {"price_cents": 1990} or {"sku": "…"}
//	GET   /products/{id}/stock               its stock level, for display
//	GET   /skus/{sku}                        the product that has the SKU
//	GET   /customers/{id}                    a customer
//	GET   /customers/{id}/orders             the customer's latest orders
//	POST  /orders                            {"customer_id": 1, "lines": [{"product_id": 2, "quantity": 1}]}
//	GET   /cache                             what the cache has done so far
//
// Two headers tell about the cache. X-Cache of a product says where it came
// from: l1, l2 or load. Cache-Invalidation of a change is "done" if all
// instances are bound by it, and "pending" if Redis has not confirmed yet; the
// change is committed in either case.
package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/customers"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/events"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
	"github.com/doppio-cache/doppio/tiered"
)

// Headers of responses.
const (
	HeaderSource       = "X-Cache"
	HeaderInvalidation = "Cache-Invalidation"
)

// Values of [HeaderInvalidation].
const (
	Done    = "done"
	Pending = "pending"
)

// API answers requests. It is safe for concurrent use.
type API struct {
	Catalog   *catalog.Repository
	Customers *customers.Repository
	Ordering  *ordering.Repository
	Stats     func() any // for GET /cache; must be encodable as JSON
	Logger    *slog.Logger
}

// Handler returns the routes.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products", a.listProducts)
	mux.HandleFunc("GET /products/{id}", a.product)
	mux.HandleFunc("PATCH /products/{id}", a.changeProduct)
	mux.HandleFunc("GET /products/{id}/stock", a.stock)
	mux.HandleFunc("GET /skus/{sku}", a.productBySKU)
	mux.HandleFunc("GET /customers/{id}", a.customer)
	mux.HandleFunc("GET /customers/{id}/orders", a.orders)
	mux.HandleFunc("POST /orders", a.placeOrder)
	mux.HandleFunc("GET /cache", func(w http.ResponseWriter, _ *http.Request) { a.reply(w, http.StatusOK, a.Stats()) })
	return mux
}

// errBadRequest marks what the client has got wrong.
var errBadRequest = errors.New("bad request")

// maxBody is as much of a request as is read.
const maxBody = 64 << 10

// pathID reads the id in the path.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not an id", errBadRequest, r.PathValue("id"))
	}
	return id, nil
}

// body decodes the request's JSON.
func body(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: body: %w", errBadRequest, err)
	}
	return nil
}

func (a *API) reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.Logger.Debug("reply not sent", "error", err)
	}
}

// fail maps errors of the domain to HTTP.
func (a *API) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, tiered.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, errBadRequest), errors.Is(err, catalog.ErrInvalid), errors.Is(err, ordering.ErrInvalid):
		status = http.StatusBadRequest
	case errors.Is(err, catalog.ErrSKUTaken), errors.Is(err, ordering.ErrOutOfStock):
		status = http.StatusConflict
	}
	message := err.Error()
	if status == http.StatusInternalServerError {
		a.Logger.Error("request failed", "error", err)
		message = http.StatusText(status)
	}
	a.reply(w, status, map[string]string{"error": message})
}

// changed answers a change. One that was committed has not failed, whatever
// happened afterwards.
func (a *API) changed(w http.ResponseWriter, status int, v any, err error) {
	state := Done
	if err != nil {
		if !errors.Is(err, events.ErrAfterCommit) {
			a.fail(w, err)
			return
		}
		a.Logger.Debug("invalidation is pending", "error", err)
		state = Pending
	}
	w.Header().Set(HeaderInvalidation, state)
	a.reply(w, status, v)
}
