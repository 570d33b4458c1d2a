package customers_test

import (
	"errors"
	"testing"

	"github.com/doppio-cache/doppio/examples/orderflow/internal/customers"
	"github.com/doppio-cache/doppio/examples/orderflow/internal/origin/origintest"
	"github.com/doppio-cache/doppio/tiered"
)

func TestCustomer(t *testing.T) {
	repository := customers.NewRepository(origintest.Open(t), tiered.Noop[customers.Customer]())
	c, err := repository.Customer(t.Context(), 7)
	if err != nil || c.ID != 7 || c.Email == "" {
		t.Errorf("customer %+v, %v", c, err)
	}
	if _, err := repository.Customer(t.Context(), 999_999); !errors.Is(err, tiered.ErrNotFound) {
		t.Errorf("unknown customer: %v", err)
	}
}
