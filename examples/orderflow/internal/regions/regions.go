// Package regions says what the service caches: the name of each region, how
// long its values live, and how its keys are written.
//
// The repositories (which read through the cache) and the event handler (which
// invalidates) both take their keys from here, so that they cannot disagree.
package regions

import (
	"time"

	"github.com/doppio-cache/doppio/tiered"
)

// Names of the regions. They are part of every Redis key.
const (
	Products       = "products"        // details of a product, without its stock level
	ProductBySKU   = "product-by-sku"  // the id of the product that has a SKU
	ProductList    = "product-list"    // the first unfiltered page of the list, and no other
	Customers      = "customers"       // a customer's master data
	OrderSummaries = "order-summaries" // a customer's latest orders
	Stock          = "stock"           // stock levels for display; orders read them live
)

// Lives of the values, by region. They bound how long something unused stays,
// not how stale a value may get: that is what the event handler is for.
const (
	ProductsTTL       = 30 * time.Minute
	ProductBySKUTTL   = 30 * time.Minute
	ProductListTTL    = 5 * time.Minute
	CustomersTTL      = 60 * time.Minute
	OrderSummariesTTL = 2 * time.Minute
	StockTTL          = 10 * time.Second
)

// Names lists the regions in the order in which reports show them.
func Names() []string {
	return []string{Products, ProductBySKU, ProductList, Customers, OrderSummaries, Stock}
}

// Entry names one cached value.
type Entry struct {
	Region string
	Key    string
}

// Product is the entry of a product's details.
func Product(id int64) Entry { return Entry{Products, tiered.Key(id)} }

// SKU is the entry that says which product has the SKU. A SKU may contain any
// character; Key escapes what would make two of them collide.
func SKU(sku string) Entry { return Entry{ProductBySKU, tiered.Key(sku)} }

// FirstPage is the entry of the first unfiltered page of the product list.
func FirstPage() Entry { return Entry{ProductList, tiered.Key("page", 1)} }

// Customer is the entry of a customer.
func Customer(id int64) Entry { return Entry{Customers, tiered.Key(id)} }

// Summaries is the entry of a customer's latest orders.
func Summaries(customerID int64) Entry { return Entry{OrderSummaries, tiered.Key(customerID)} }

// StockLevel is the entry of a product's stock level.
func StockLevel(productID int64) Entry { return Entry{Stock, tiered.Key(productID)} }
