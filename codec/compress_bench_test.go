package codec

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// catalogue is a list of products that differ as products do.
func catalogue(n int) []product {
	r := rand.New(rand.NewPCG(1, 2))
	adjectives := []string{"white", "blue", "stackable", "hand-made", "insulated", "small", "large", "travel"}
	things := []string{"espresso cup", "milk jug", "saucer", "grinder", "tamper", "filter", "scale", "kettle", "knock box"}
	tags := []string{"kitchen", "porcelain", "new", "steel", "sale", "gift", "barista"}
	list := make([]product, n)
	for i := range list {
		created := instant.Add(time.Duration(r.Int64N(1e17)))
		list[i] = product{
			ID: r.Int64N(1e7), SKU: fmt.Sprintf("%c%c-%04d-X%c", 'A'+r.IntN(26), 'A'+r.IntN(26), r.IntN(1e4), 'A'+r.IntN(26)),
			Name:  fmt.Sprintf("%s %s, %d ml", adjectives[r.IntN(len(adjectives))], things[r.IntN(len(things))], 10*r.IntN(100)),
			Price: 10 * r.Int64N(2000), Currency: "EUR", Weight: float64(r.IntN(300)) / 100, Active: r.IntN(5) > 0,
			Tags:    []string{tags[r.IntN(len(tags))], tags[r.IntN(len(tags))]},
			Created: created, Updated: created.Add(time.Duration(r.Int64N(1e16))),
		}
	}
	return list
}

// compressions are the ways to store, the codec alone first.
func compressions(inner Codec) []struct {
	name  string
	codec Codec
} {
	return []struct {
		name  string
		codec Codec
	}{{"alone", inner}, {"s2", everything(inner, S2)}, {"zstd", everything(inner, Zstd)}}
}

var catalogueSizes = []int{2, 8, 64, 512}

func BenchmarkCompressedAppend(b *testing.B) {
	for _, inner := range []Codec{JSON, MsgPack} {
		for _, n := range catalogueSizes {
			v := catalogue(n)
			alone := len(must(inner.Append(nil, &v)))
			for _, c := range compressions(inner) {
				b.Run(fmt.Sprintf("%s/%d/%s", inner.Name(), n, c.name), func(b *testing.B) {
					b.ReportAllocs()
					var buf []byte
					for b.Loop() {
						buf, _ = c.codec.Append(buf[:0], &v)
					}
					b.ReportMetric(float64(len(buf)), "stored-bytes")
					b.ReportMetric(float64(len(buf))/float64(alone), "ratio")
				})
			}
		}
	}
}

func BenchmarkCompressedUnmarshal(b *testing.B) {
	for _, inner := range []Codec{JSON, MsgPack} {
		for _, n := range catalogueSizes {
			v := catalogue(n)
			for _, c := range compressions(inner) {
				data := must(c.codec.Append(nil, &v))
				b.Run(fmt.Sprintf("%s/%d/%s", inner.Name(), n, c.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						var out []product
						_ = c.codec.Unmarshal(data, &out)
					}
				})
			}
		}
	}
}

// BenchmarkClone is beside an assignment and a copy written by hand.
func BenchmarkClone(b *testing.B) {
	v := someProduct
	for _, c := range []Codec{MsgPack, JSON} {
		clone, err := Cloner[*product](c)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("product/"+c.Name(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = clone(&v)
			}
		})
	}
	b.Run("product/by-hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out := v
			out.Tags = append([]string(nil), v.Tags...)
			keep = &out
		}
	})
	flat, err := Cloner[line](MsgPack)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("line/assignment", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = flat(line{"a", 1})
		}
	})
	bytes, err := Cloner[[]byte](Raw)
	if err != nil {
		b.Fatal(err)
	}
	kilobyte := noise(1 << 10)
	b.Run("KiB/raw", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = bytes(kilobyte)
		}
	})
}

var keep *product
