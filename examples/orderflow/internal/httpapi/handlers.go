package httpapi

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/catalog"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/ordering"
	"github.com/doppio-cache/doppio/tiered"
)

func (a *API) listProducts(w http.ResponseWriter, r *http.Request) {
	filter := catalog.Filter{Category: r.URL.Query().Get("category"), Page: 1}
	if page := r.URL.Query().Get("page"); page != "" {
		n, err := strconv.Atoi(page)
		if err != nil {
			a.fail(w, fmt.Errorf("%w: %q is not a page", errBadRequest, page))
			return
		}
		filter.Page = n
	}
	page, err := a.Catalog.List(r.Context(), filter)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.reply(w, http.StatusOK, page)
}

func (a *API) product(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	var info tiered.Info
	p, err := a.Catalog.Product(r.Context(), id, tiered.WithInfo(&info))
	if err != nil {
		a.fail(w, err)
		return
	}
	a.replyProduct(w, p, info)
}

func (a *API) productBySKU(w http.ResponseWriter, r *http.Request) {
	var info tiered.Info
	p, err := a.Catalog.ProductBySKU(r.Context(), r.PathValue("sku"), tiered.WithInfo(&info))
	if err != nil {
		a.fail(w, err)
		return
	}
	a.replyProduct(w, p, info)
}

func (a *API) replyProduct(w http.ResponseWriter, p catalog.Product, info tiered.Info) {
	if info.Source != tiered.SourceNone { // the baseline does not say
		w.Header().Set(HeaderSource, info.Source.String())
	}
	a.reply(w, http.StatusOK, p)
}

func (a *API) changeProduct(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	var change catalog.Change
	if err := body(w, r, &change); err != nil {
		a.fail(w, err)
		return
	}
	p, err := a.Catalog.Update(r.Context(), id, change)
	a.changed(w, http.StatusOK, p, err)
}

func (a *API) stock(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	level, err := a.Catalog.StockLevel(r.Context(), id)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.reply(w, http.StatusOK, map[string]int64{"product_id": id, "level": level})
}

func (a *API) customer(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	c, err := a.Customers.Customer(r.Context(), id)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.reply(w, http.StatusOK, c)
}

func (a *API) orders(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		a.fail(w, err)
		return
	}
	orders, err := a.Ordering.Summaries(r.Context(), id)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.reply(w, http.StatusOK, orders)
}

func (a *API) placeOrder(w http.ResponseWriter, r *http.Request) {
	var request ordering.Request
	if err := body(w, r, &request); err != nil {
		a.fail(w, err)
		return
	}
	order, err := a.Ordering.Place(r.Context(), request)
	a.changed(w, http.StatusCreated, order, err)
}
