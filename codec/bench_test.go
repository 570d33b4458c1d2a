package codec

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// product is what a cache typically holds: ten fields, no surprises.
type product struct {
	ID       int64     `msgpack:"id"`
	SKU      string    `msgpack:"sku"`
	Name     string    `msgpack:"name"`
	Price    int64     `msgpack:"price"`
	Currency string    `msgpack:"currency"`
	Weight   float64   `msgpack:"weight"`
	Active   bool      `msgpack:"active"`
	Tags     []string  `msgpack:"tags"`
	Created  time.Time `msgpack:"created"`
	Updated  time.Time `msgpack:"updated"`
}

var someProduct = product{
	ID: 123456, SKU: "AB-1234-XY", Name: "Espresso cup, 60 ml", Price: 1290, Currency: "EUR", Weight: 0.18, Active: true,
	Tags: []string{"kitchen", "porcelain", "new"}, Created: instant, Updated: instant.Add(time.Hour),
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range []Codec{MsgPack, JSON} {
		b.Run(c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf, _ = c.Append(buf[:0], &someProduct)
			}
			b.ReportMetric(float64(len(buf)), "encoded-bytes")
		})
	}
	b.Run("bare-msgpack", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf, _ = msgpack.Marshal(&someProduct)
		}
		b.ReportMetric(float64(len(buf)), "encoded-bytes")
	})
	b.Run("bare-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(&someProduct)
		}
	})
}

func BenchmarkUnmarshal(b *testing.B) {
	for _, c := range []Codec{MsgPack, JSON} {
		data := must(c.Append(nil, &someProduct))
		b.Run(c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var p product
				_ = c.Unmarshal(data, &p)
			}
		})
	}
	b.Run("bare-msgpack", func(b *testing.B) {
		data := must(msgpack.Marshal(&someProduct))
		b.ReportAllocs()
		for b.Loop() {
			var p product
			_ = msgpack.Unmarshal(data, &p)
		}
	})
	b.Run("bare-json", func(b *testing.B) {
		data := must(json.Marshal(&someProduct))
		b.ReportAllocs()
		for b.Loop() {
			var p product
			_ = json.Unmarshal(data, &p)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	data := must(MsgPack.Append(nil, &someProduct))
	b.ReportAllocs()
	for b.Loop() {
		_ = checkWellFormed(data)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	for b.Loop() {
		Fingerprint(MsgPack, reflect.TypeFor[order]())
	}
}
