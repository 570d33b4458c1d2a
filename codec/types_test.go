package codec

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// The types that the tests put into codecs.

type (
	customer struct {
		Name  string
		Email *string
	}
	line struct {
		SKU string
		Qty int
	}
	base   struct{ ID int64 }
	Base   struct{ ID int64 }
	Other  struct{ ID int64 }
	number int
	octet  uint8
	Number int
	Hidden struct{ secret int }
	list   struct {
		N    int
		Next *list
	}
	tree struct {
		Name     string
		Children []tree
		ByName   map[string]tree
	}
	nested     []nested
	chain      *chain
	box[T any] struct{ V T }
	stamp      time.Time
)

// order has something of everything that both codecs carry.
type order struct {
	ID       int64  `msgpack:"id" json:"id"`
	Number   string `msgpack:"no" json:"no"`
	Paid     bool
	Total    float64
	Weight   float32
	Small    int8
	Big      uint64
	Status   status
	Placed   time.Time
	Took     time.Duration
	Customer *customer
	Lines    []line
	Tags     []string
	Note     []byte
	Sum      [4]byte
	Triple   [3]int
	ByID     map[int]string
	Labels   map[string]string
	Flags    map[string]bool
	Parts    map[string][]line
	Amount   big.Int
	Before   *order
	Cached   int    `msgpack:"-" json:"-"`
	Remark   string `msgpack:",omitempty" json:",omitempty"`
	_        int
}

// status encodes itself as text, with a value receiver as is usual.
type status int

func (s status) MarshalText() ([]byte, error) { return []byte("s" + strconv.Itoa(int(s))), nil }

func (s *status) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(strings.TrimPrefix(string(b), "s"))
	*s = status(n)
	return err
}

// byAddr encodes itself through its pointer only.
type byAddr struct{ hidden string }

func (b *byAddr) MarshalText() ([]byte, error)    { return []byte(b.hidden), nil }
func (b *byAddr) UnmarshalText(data []byte) error { b.hidden = string(data); return nil }

// twoWays encodes as binary with a value receiver, as msgpack with a pointer.
type twoWays struct{ N int }

func (t twoWays) MarshalText() ([]byte, error)            { return []byte(strconv.Itoa(t.N)), nil }
func (t *twoWays) UnmarshalText(b []byte) (err error)     { t.N, err = strconv.Atoi(string(b)); return err }
func (t *twoWays) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(int64(t.N)) }
func (t *twoWays) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	t.N, err = d.DecodeInt()
	return err
}
func (t *twoWays) MarshalJSON() ([]byte, error) {
	return []byte(`{"n":` + strconv.Itoa(t.N) + `}`), nil
}
func (t *twoWays) UnmarshalJSON(data []byte) error { return errors.New("not needed") }

// halves: one method without its counterpart.
type onlyMarshals struct{ n int }

func (o onlyMarshals) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(o.n)), nil }

type onlyUnmarshals struct{ N int }

func (o *onlyUnmarshals) UnmarshalText([]byte) error { return nil }

// crossed encodes as binary and decodes from text.
type crossed struct{ n int }

func (c crossed) MarshalBinary() ([]byte, error) { return []byte{byte(c.n)}, nil }
func (c *crossed) UnmarshalText(b []byte) (err error) {
	c.n, err = strconv.Atoi(string(b))
	return err
}
func (c crossed) MarshalJSON() ([]byte, error) { return []byte(strconv.Itoa(c.n)), nil }

// forgetful decodes into a copy of itself.
type forgetful struct{ N int }

func (f forgetful) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(f.N)), nil }
func (f forgetful) UnmarshalText([]byte) error   { return nil }

// mixed writes with EncodeMsgpack and reads with UnmarshalMsgpack.
type mixed struct{ n int }

func (m mixed) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(int64(m.n)) }
func (m *mixed) UnmarshalMsgpack(b []byte) error       { return msgpack.Unmarshal(b, &m.n) }

// event gets the methods of the time in it; journal overrides them.
type event struct {
	time.Time
	Name string
}

type moment struct{ time.Time }

type journal struct {
	time.Time
	Name string
}

func (j journal) text() string                   { return j.Format(time.RFC3339Nano) + "|" + j.Name }
func (j journal) MarshalText() ([]byte, error)   { return []byte(j.text()), nil }
func (j journal) MarshalBinary() ([]byte, error) { return []byte(j.text()), nil }
func (j journal) MarshalJSON() ([]byte, error)   { return []byte(strconv.Quote(j.text())), nil }
func (j *journal) UnmarshalText(b []byte) (err error) {
	at, name, _ := strings.Cut(string(b), "|")
	j.Name = name
	j.Time, err = time.Parse(time.RFC3339Nano, at)
	return err
}
func (j *journal) UnmarshalBinary(b []byte) error { return j.UnmarshalText(b) }
func (j *journal) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return err
	}
	return j.UnmarshalText([]byte(s))
}

// textKey is a string that reads differently from what is written as a map key.
type textKey string

func (k textKey) MarshalText() ([]byte, error) { return []byte("k:" + k), nil }
func (k *textKey) UnmarshalText(b []byte) error {
	*k = textKey(strings.TrimPrefix(string(b), "k:") + "!")
	return nil
}

// hasty writes two numbers and reads one.
type hasty struct{ A, B int }

func (h hasty) EncodeMsgpack(e *msgpack.Encoder) error  { return e.Encode([]int{h.A, h.B}) }
func (h *hasty) DecodeMsgpack(d *msgpack.Decoder) error { _, err := d.DecodeArrayLen(); return err }

// grenade panics when it is decoded.
type grenade struct{ N int }

func (g grenade) MarshalText() ([]byte, error) { return []byte("x"), nil }
func (g *grenade) UnmarshalText([]byte) error  { panic(errPin) }

var nan = math.NaN()

var errPin = errors.New("pin pulled")

func ptr[T any](v T) *T { return &v }

func fullOrder() order {
	at := time.Date(2024, 2, 29, 12, 30, 15, 123456789, time.FixedZone("", 3600))
	return order{
		ID: -5, Number: "N-\xff-1", Paid: true, Total: 19.99, Weight: 1.5, Small: -128, Big: 1<<64 - 1,
		Status: 3, Placed: at, Took: 90 * time.Second,
		Customer: &customer{Name: "Ada", Email: ptr("ada@example.com")},
		Lines:    []line{{"a", 1}, {"b", 2}}, Tags: []string{"x", ""}, Note: []byte{0, 1}, Sum: [4]byte{1, 2, 3, 4},
		Triple: [3]int{1, 2, 3}, ByID: map[int]string{-1: "minus"}, Labels: map[string]string{"k": "v"},
		Flags: map[string]bool{"f": true}, Parts: map[string][]line{"p": {{"c", 3}}, "none": nil},
		Amount: *big.NewInt(1 << 40), Before: &order{ID: 4, Placed: at, Tags: []string{}},
		Remark: "thanks",
	}
}
