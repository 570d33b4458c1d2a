package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
)

// A fact is what a bare library does to a value. A codec must refuse the type
// of every value that its library loses, and no other.
type fact struct {
	name     string
	value    any
	lost     bool   // the library fails, panics, or returns another value
	accepted string // if lost: why the codec carries the type nevertheless
}

func kept(name string, v any) fact                 { return fact{name: name, value: v} }
func lost(name string, v any) fact                 { return fact{name: name, value: v, lost: true} }
func accepted(name string, v any, why string) fact { return fact{name, v, true, why} }

var instant = time.Date(2024, 2, 29, 12, 30, 15, 123456789, time.FixedZone("CET", 3600))

// commonFacts hold for both libraries.
var commonFacts = []fact{
	kept("bool", true), kept("int", math.MinInt), kept("int8", int8(-128)), kept("int64 max", int64(math.MaxInt64)),
	kept("uint64 max", uint64(math.MaxUint64)), kept("float32", float32(1.1)), kept("float64 smallest", math.SmallestNonzeroFloat64),
	kept("float64 -0", math.Copysign(0, -1)), kept("string", "a\x00<é>"), kept("empty string", ""), kept("named int", Number(5)),
	kept("bytes", []byte{0, 255}), kept("bytes nil", []byte(nil)), kept("bytes empty", []byte{}),
	kept("named bytes", []octet{1, 2}), kept("byte array", [4]byte{1, 2}), kept("array", [3]int{1, 2, 3}), kept("named byte array", [2]octet{1, 2}),
	kept("slice", []int{1, 2}), kept("slice nil", []int(nil)), kept("slice empty", []int{}), kept("strings nil", []string(nil)),
	kept("strings empty", []string{}), kept("slice of slices", [][]int{nil, {}, {1}}),
	kept("map", map[string]int{"a": 1}), kept("map nil", map[string]int(nil)), kept("map empty", map[string]int{}),
	kept("map[string]string empty", map[string]string{}), kept("map[string]string nil", map[string]string(nil)),
	kept("map[string]bool", map[string]bool{"a": false}), kept("map[int]", map[int]string{-3: "x"}), kept("map[uint64]", map[uint64]string{math.MaxUint64: "x"}),
	kept("map[named string]", map[json.Number]int{"1": 1}), kept("map of byte arrays", map[string][2]byte{"a": {1, 2}}),
	kept("map with text key", map[status]int{3: 4}), kept("map[netip.Addr]", map[netip.Addr]int{netip.MustParseAddr("::1"): 1}),
	kept("struct", line{"a", 1}), kept("empty struct", struct{}{}), kept("nil pointer", (*line)(nil)), kept("pointer", &line{"b", 2}),
	kept("pointer field nil", customer{Name: "x"}), kept("pointer to array", ptr([2]int{1, 2})), kept("recursive", list{1, &list{2, nil}}),
	kept("tree", tree{"a", []tree{{Name: "b"}}, map[string]tree{"c": {Name: "c"}}}), kept("generic", box[[]line]{[]line{{"a", 1}}}),
	kept("blank field", struct {
		_ int
		A int
	}{A: 1}),
	kept("unexported field of no size", struct {
		mark struct{}
		A    int
	}{A: 1}),
	kept("embedded struct", struct {
		Base
		Name string
	}{Base{7}, "x"}),
	kept("embedded unexported struct", struct {
		base
		Name string
	}{base{7}, "x"}),
	kept("embedded non-struct", struct{ Number }{4}),
	kept("time", instant), kept("time zero", time.Time{}), kept("time before 1970", time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)),
	kept("time with monotonic clock", time.Now()), kept("time pointer", ptr(instant)), kept("times", []time.Time{instant}),
	kept("embedded time alone", moment{instant}), kept("own methods over embedded time", journal{instant, "x"}),
	kept("embedded time and nothing else that is encoded", struct {
		time.Time
		_ int
		X int `msgpack:"-" json:"-"`
	}{Time: instant}),
	kept("duration", time.Minute), kept("text method", status(5)), kept("text method through pointer", byAddr{"x"}),
	kept("slice of such", []byAddr{{"x"}}), kept("array of such", [1]byAddr{{"x"}}), kept("pointers to such in a map", map[string]*byAddr{"a": {"x"}}),
	kept("big.Int", *big.NewInt(-99)), kept("big.Int pointer nil", (*big.Int)(nil)), kept("netip.Addr", netip.MustParseAddr("10.0.0.1")),
	kept("net.IP of 16 bytes", net.ParseIP("10.0.0.1")), kept("net.IP nil", net.IP(nil)), kept("json.Number", json.Number("1.50")),
	accepted("net.IP of 4 bytes", net.IP{10, 0, 0, 1}, "its own methods make it 16; IP.Equal holds"),
	accepted("big.Float of high precision", *new(big.Float).SetPrec(200).Quo(big.NewFloat(1), big.NewFloat(3)), "its own methods round it"),

	lost("unexported field", struct {
		A int
		b int
	}{1, 2}),
	lost("unexported field deep inside", map[string][]*Hidden{"a": {{5}}}),
	lost("named time.Time without its methods", stamp(instant)), lost("sync.Mutex", struct{ Mu sync.Mutex }{*lockedMutex()}),
	lost("atomic", *newAtomic(3)), lost("embedded unexported non-struct", struct{ number }{4}),
	lost("embedded time and more", event{instant, "x"}),
	lost("interface", box[any]{3}), lost("interface of methods", box[fmt.Stringer]{time.Second}), lost("error", box[error]{&fs.PathError{Op: "open"}}),
	lost("reader", box[io.Reader]{new(bytes.Buffer)}), lost("slice of any", []any{1, "a"}), lost("map of any", map[string]any{"a": 1}),
	lost("chan", box[chan int]{make(chan int)}), lost("func", box[func()]{func() {}}), lost("complex64", complex64(1)), lost("complex128", complex(1, 2)),
	lost("unsafe.Pointer", box[unsafe.Pointer]{unsafe.Pointer(new(int))}),
	lost("pointer to nil pointer", box[**int]{ptr((*int)(nil))}), lost("pointer to nil slice", box[*[]int]{ptr([]int(nil))}), lost("pointer to nil map", box[*map[int]int]{ptr(map[int]int(nil))}),
	lost("marshals only", onlyMarshals{3}), lost("unmarshals only", onlyUnmarshals{3}), lost("crossed methods", crossed{'1'}), lost("unmarshals into a copy", forgetful{3}),
	lost("pointer method in a map", map[string]byAddr{"a": {"x"}}), lost("pointer method in an array in a map", map[string][1]byAddr{"a": {{"x"}}}),
	lost("pointer key", map[*int]int{ptr(1): 2}), lost("interface key", map[any]int{1: 2}), lost("time key", map[time.Time]int{instant: 1}),
}

func lockedMutex() *sync.Mutex        { m := new(sync.Mutex); m.Lock(); return m }
func newAtomic(n int64) *atomic.Int64 { a := new(atomic.Int64); a.Store(n); return a }

var msgpackFacts = []fact{
	kept("NaN", math.NaN()), kept("infinity", math.Inf(-1)), kept("invalid UTF-8", "a\xffb"), kept("map[bool]", map[bool]int{true: 1}),
	kept("map[float64]", map[float64]int{1.5: 1}), kept("map[struct]", map[line]int{{"a", 1}: 2}), kept("map[array]", map[[2]int]int{{1, 2}: 3}),
	kept("map[byte array]", map[[16]byte]int{{1}: 2}), kept("map[text key]", map[textKey]int{}), kept("json.Number empty", json.Number("")),
	kept("json.RawMessage nil", json.RawMessage(nil)), kept("json.RawMessage with spaces", json.RawMessage("{ }")),
	kept("time far away", time.Unix(1<<60, 999999999)), kept("url.URL", *must(url.Parse("https://u:p@example.com/x?y#z"))),
	kept("EncodeMsgpack with UnmarshalMsgpack", mixed{7}), kept("RawMessage nil", box[msgpack.RawMessage]{nil}),
	kept("as_array", struct {
		_msgpack struct{} `msgpack:",as_array"`
		A        int
		B        string
	}{A: 1, B: "x"}),
	kept("_msgpack omitempty", struct {
		_msgpack struct{} `msgpack:",omitempty"`
		A        []int
		B        string
	}{B: "x"}),
	kept("inline", struct {
		Base `msgpack:",inline"`
		N    int
	}{Base{1}, 2}),
	kept("inline on a named field is ignored", struct {
		B Base `msgpack:",inline"`
	}{Base{1}}),
	kept("noinline pointer nil", struct {
		*Base `msgpack:"base,noinline"`
	}{}),
	kept("noinline pointer", struct {
		*Base `msgpack:"base,noinline"`
	}{&Base{1}}),
	kept("embedded after a field of the same name", struct {
		ID int64
		Base
	}{1, Base{2}}),
	kept("two embedded fields of one name", struct {
		Base
		Other
	}{Base{1}, Other{2}}),
	kept("intern", struct {
		A, B string `msgpack:",intern"`
		C    string
		D    map[string]string
	}{"hello", "hello", "hello", map[string]string{"hello": "hello"}}),
	kept("alias", struct {
		A int `msgpack:"a,alias:b"`
	}{3}),
	kept("omitempty", struct {
		A  int       `msgpack:",omitempty"`
		T  time.Time `msgpack:",omitempty"`
		P  *line     `msgpack:",omitempty"`
		S  struct{}  `msgpack:",omitempty"`
		A2 [2]int    `msgpack:",omitempty"`
		U  url.URL   `msgpack:",omitempty"`
		I  *big.Int  `msgpack:",omitempty"`
	}{T: instant, P: &line{}, A2: [2]int{0, 1}, U: *must(url.Parse("/x")), I: big.NewInt(0)}),

	accepted("omitempty of an empty slice", struct {
		A []int `msgpack:",omitempty"`
	}{[]int{}}, "the tag asks for it"),
	accepted("dash", struct {
		A int `msgpack:"-"`
		b int `msgpack:"-"`
	}{1, 2}, "the tag asks for it"),
	accepted("RawMessage empty", box[msgpack.RawMessage]{msgpack.RawMessage{}}, "known from the value only; Append refuses it"),

	lost("omitempty of a type that encodes itself", struct {
		A netip.Addr `msgpack:",omitempty"`
	}{netip.MustParseAddr("10.0.0.1")}),
	lost("_msgpack omitempty of such a type", struct {
		_msgpack struct{} `msgpack:",omitempty"`
		A        netip.Addr
	}{A: netip.MustParseAddr("10.0.0.1")}),
	lost("uintptr", uintptr(3)), lost("array of a named byte as key", map[[2]octet]int{{1, 2}: 3}), lost("array of a named byte in a map", map[int][2]octet{1: {1, 2}}),
	lost("embedded pointer nil", struct {
		*Base
		N int
	}{N: 1}),
	lost("inline hides a field of the same name", struct {
		ID   int64
		Base `msgpack:",inline"`
	}{1, Base{2}}),
	lost("field after an embedded one of the same name", struct {
		Base
		ID int64
	}{Base{2}, 1}),
	lost("field with the name of its embedded struct", struct{ Nest }{Nest{Nest: 3}}),
	lost("alias takes a name", struct {
		B int `msgpack:"b"`
		A int `msgpack:"a,alias:b"`
	}{1, 2}),
	lost("intern on a number", struct {
		A int `msgpack:",intern"`
	}{1}),
}

type Nest struct{ Nest int }

var jsonFacts = []fact{
	kept("uintptr", uintptr(3)), kept("json.RawMessage", json.RawMessage("{}")), kept("named byte array in a map", map[int][2]octet{1: {1, 2}}),
	kept("string option", struct {
		A int64 `json:",string"`
	}{math.MaxInt64}),
	kept("embedded with a name", struct {
		*Base `json:"base"`
	}{}),
	kept("names that differ in case", struct {
		A int `json:"id"`
		B int `json:"ID"`
	}{1, 2}),
	kept("tag that is no name", struct {
		A int `json:"\""`
	}{1}),
	kept("field named dash", struct {
		A int `json:"-,"`
	}{1}),

	accepted("omitempty of an empty slice", struct {
		A []int `json:",omitempty"`
	}{[]int{}}, "the tag asks for it"),
	accepted("dash", struct {
		A int `json:"-"`
		b int `json:"-"`
	}{1, 2}, "the tag asks for it"),
	accepted("invalid UTF-8", "a\xffb", "known from the value only"),
	accepted("NaN", math.NaN(), "known from the value only; Append refuses it"),
	accepted("time after 9999", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "known from the value only; Append refuses it"),
	accepted("json.Number empty", json.Number(""), "written as 0"),
	accepted("json.RawMessage nil", json.RawMessage(nil), "its own methods make it null"),
	accepted("json.RawMessage with spaces", json.RawMessage("{ }"), "means the same"),

	lost("two fields of one name", struct {
		Base
		Other
	}{Base{1}, Other{2}}),
	lost("string option on a type that encodes itself", struct {
		A status `json:",string"`
	}{1}),
	kept("string option on others", struct {
		A *string     `json:",string"`
		B json.Number `json:",string"`
		C *bool       `json:",string"`
		D []int       `json:",string"`
		E float32     `json:",string"`
	}{ptr("\"x\""), "1.5", nil, []int{1}, 0.1}),
	lost("key with MarshalText and UnmarshalJSON", map[twoWays]int{{3}: 1}),
	lost("text key on a string", map[textKey]int{"a": 1}), lost("map[bool]", map[bool]int{true: 1}), lost("map[float64]", map[float64]int{1.5: 1}),
	lost("map[struct]", map[line]int{{"a", 1}: 2}), lost("map[array]", map[[2]int]int{{1, 2}: 3}),
	lost("embedded pointer to nothing", struct{ *Void }{&Void{}}), lost("embedded pointer to unexported struct", struct{ *base }{&base{1}}),
	lost("field that hides an embedded one", struct {
		Base
		ID int64
	}{Base{2}, 1}),
	lost("embedded unexported struct with a name", struct {
		*base `json:"b"`
	}{&base{1}}),
}

type Void struct {
	A int `json:",omitempty"`
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
