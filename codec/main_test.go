package codec

import (
	"testing"

	"go.uber.org/goleak"
)

// Tests of the bare library's behaviour with embedded pointers start goroutines
// that the library never ends. TestNoGoroutines shows that the codec does not.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/vmihailenco/msgpack/v5.cachedValue.func1"))
}

func TestNoGoroutines(t *testing.T) {
	type fresh struct { // the library starts one for each type, once
		M map[string]*fresh
		P *struct{ N int }
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	in := fresh{M: map[string]*fresh{"a": {}}, P: &struct{ N int }{1}}
	var out fresh
	if err := Decode(MsgPack, must(Encode(MsgPack, nil, &in)), &out); err != nil || !same(in, out) {
		t.Fatalf("got %+v, %v", out, err)
	}
}
