package codec

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPanicBecomesError(t *testing.T) {
	for _, c := range []Codec{MsgPack, JSON} {
		data, err := Encode(c, nil, grenade{})
		if err != nil {
			t.Fatal(err)
		}
		err = Decode(c, data, new(grenade))
		var p *PanicError
		if !errors.As(err, &p) || !errors.Is(err, errPin) {
			t.Fatalf("%s: Decode = %v, want a PanicError around errPin", c.Name(), err)
		}
		if p.Op != "Unmarshal" || !strings.Contains(string(p.Stack), "UnmarshalText") {
			t.Errorf("%s: op %s, stack %s", c.Name(), p.Op, p.Stack)
		}
	}
}

type panicking struct{ value any }

func (p panicking) Name() string                       { return "panicking" }
func (p panicking) Append([]byte, any) ([]byte, error) { panic(p.value) }
func (p panicking) Unmarshal([]byte, any) error        { panic(p.value) }

func TestPanicOfCodec(t *testing.T) {
	out, err := Encode(panicking{"no"}, []byte("header"), 1)
	var p *PanicError
	if !errors.As(err, &p) || p.Value != "no" || p.Unwrap() != nil || p.Op != "Append" {
		t.Fatalf("Encode = %v", err)
	}
	if string(out) != "header" {
		t.Errorf("Encode returned %q, want dst as it came", out)
	}
	if want := "codec: panic in codec.panicking.Append: no"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if err := Decode(panicking{nil}, nil, new(int)); err == nil {
		t.Error("panic(nil) went unnoticed")
	}
}

// TestPanicOfLibrary: msgpack itself panics on a nil where a time.Time is due.
func TestPanicOfLibrary(t *testing.T) {
	var out struct{ T time.Time }
	err := Decode(MsgPack, []byte{0x81, 0xa1, 'T', 0xc0}, &out)
	var p *PanicError
	if !errors.As(err, &p) {
		t.Errorf("Decode = %v, want a PanicError; if the library has learnt to return an error, so much the better", err)
	}
}
