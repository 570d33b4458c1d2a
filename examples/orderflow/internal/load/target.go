package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/fleet"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/httpapi"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/oracle"
)

// Target is a fleet under load. It is safe for concurrent use.
type Target struct {
	Fleet  *fleet.Fleet
	Oracle *oracle.Oracle

	http     *http.Client
	requests atomic.Uint64
	errors   atomic.Uint64
	firstErr atomic.Pointer[error]
}

// NewTarget returns a target that nobody has asked anything. Call Close at the
// end.
func NewTarget(f *fleet.Fleet, o *oracle.Oracle) *Target {
	return &Target{Fleet: f, Oracle: o, http: &http.Client{
		Timeout:   15 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 2 * StampedeSize},
	}}
}

// Close closes idle connections.
func (t *Target) Close() { t.http.CloseIdleConnections() }

// versioned is the part of a product that the oracle wants.
type versioned struct {
	ID      int64 `json:"id"`
	Version int64 `json:"version"`
}

// getProduct reads a product by a path, and lets the oracle judge the answer.
func (t *Target) getProduct(ctx context.Context, inst *fleet.Instance, path string) (versioned, error) {
	var p versioned
	began := time.Now()
	status, _, err := t.do(ctx, http.MethodGet, inst.URL+path, nil, &p)
	if err == nil && status == http.StatusOK {
		t.Oracle.Judge(oracle.Read{Product: p.ID, Version: p.Version, Instance: inst.Number, Began: began})
	}
	return p, err
}

// getPage reads a page of the list, all of whose products the oracle judges.
func (t *Target) getPage(ctx context.Context, inst *fleet.Instance, query string) error {
	var page []versioned
	began := time.Now()
	status, _, err := t.do(ctx, http.MethodGet, inst.URL+"/products"+query, nil, &page)
	if err != nil || status != http.StatusOK {
		return err
	}
	reads := make([]oracle.Read, len(page))
	for i, p := range page {
		reads[i] = oracle.Read{Product: p.ID, Version: p.Version, Instance: inst.Number, Began: began}
	}
	t.Oracle.Judge(reads...)
	return nil
}

// get reads anything else.
func (t *Target) get(ctx context.Context, inst *fleet.Instance, path string) error {
	_, _, err := t.do(ctx, http.MethodGet, inst.URL+path, nil, nil)
	return err
}

// setPrice changes a price and tells the oracle.
func (t *Target) setPrice(ctx context.Context, inst *fleet.Instance, id, cents int64) (oracle.Change, error) {
	var p versioned
	url := fmt.Sprintf("%s/products/%d", inst.URL, id)
	status, header, err := t.do(ctx, http.MethodPatch, url, map[string]int64{"price_cents": cents}, &p)
	if err != nil {
		return oracle.Change{}, err
	}
	if status != http.StatusOK {
		return oracle.Change{}, fmt.Errorf("change of price: %s", http.StatusText(status))
	}
	change := oracle.Change{
		Product: id, Version: p.Version, Instance: inst.Number, Answered: time.Now(),
		Pending: header.Get(httpapi.HeaderInvalidation) != httpapi.Done,
	}
	t.Oracle.Changed(change)
	return change, nil
}

// placeOrder orders one piece of each product.
func (t *Target) placeOrder(ctx context.Context, inst *fleet.Instance, customer int64, products ...int64) error {
	lines := make([]map[string]int64, len(products))
	for i, id := range products {
		lines[i] = map[string]int64{"product_id": id, "quantity": 1}
	}
	_, _, err := t.do(ctx, http.MethodPost, inst.URL+"/orders", map[string]any{"customer_id": customer, "lines": lines}, nil)
	return err
}

// do makes a request and counts it. 404 and 409 are answers like others; what a
// service must not answer is an error, and so is silence.
func (t *Target) do(ctx context.Context, method, url string, send, receive any) (status int, header http.Header, err error) {
	t.requests.Add(1)
	status, header, err = t.roundTrip(ctx, method, url, send, receive)
	if err == nil && status >= http.StatusBadRequest && status != http.StatusNotFound && status != http.StatusConflict {
		err = fmt.Errorf("%s %s: %d %s", method, url, status, http.StatusText(status))
	}
	if err != nil && !errors.Is(err, context.Canceled) { // canceled: the run was interrupted
		t.errors.Add(1)
		t.firstErr.CompareAndSwap(nil, &err)
	}
	return status, header, err
}

func (t *Target) roundTrip(ctx context.Context, method, url string, send, receive any) (int, http.Header, error) {
	var body io.Reader
	if send != nil {
		data, err := json.Marshal(send)
		if err != nil {
			return 0, nil, err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, nil, err
	}
	response, err := t.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if receive != nil && response.StatusCode < http.StatusBadRequest {
		if err := json.NewDecoder(response.Body).Decode(receive); err != nil {
			return 0, nil, fmt.Errorf("%s %s: %w", method, url, err)
		}
	}
	_, err = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	return response.StatusCode, response.Header, err
}
