package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// The bare libraries, as they come. The decoder of msgpack.Unmarshal differs
// from this one only in that it leaves a goroutine behind for each type.
func bareMsgpack(in, out any) error {
	data, err := msgpack.Marshal(in)
	if err != nil {
		return err
	}
	return msgpack.NewDecoder(bytes.NewReader(data)).Decode(out)
}

func bareJSON(in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

func TestFactsOfMsgpack(t *testing.T) {
	testFacts(t, MsgPack, bareMsgpack, append(msgpackFacts, commonFacts...))
}

func TestFactsOfJSON(t *testing.T) {
	testFacts(t, JSON, bareJSON, append(jsonFacts, commonFacts...))
}

func testFacts(t *testing.T, c Codec, bare func(in, out any) error, facts []fact) {
	log.SetOutput(io.Discard) // msgpack logs a line for each clash of names
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, f := range facts {
		t.Run(f.name, func(t *testing.T) {
			typ := reflect.TypeOf(f.value)
			in := reflect.New(typ)
			in.Elem().Set(reflect.ValueOf(f.value))

			out := reflect.New(typ)
			err := recovered(func() error { return bare(in.Interface(), out.Interface()) })
			if isLost := err != nil || !same(f.value, out.Elem().Interface()); isLost != f.lost {
				t.Errorf("bare library: lost = %v, want %v (error %v, got %+v)", isLost, f.lost, err, out.Elem())
			}

			refused := f.lost && f.accepted == ""
			if err := Check(c, typ); (err != nil) != refused {
				t.Fatalf("Check = %v, want refused = %v", err, refused)
			}
			for _, v := range []any{f.value, in.Interface()} {
				data, err := Encode(c, nil, v)
				if refused {
					var typeErr *TypeError
					if !errors.As(err, &typeErr) {
						t.Errorf("Append(%T) = %v, want a TypeError", v, err)
					}
					continue
				}
				out := reflect.New(typ)
				if err == nil {
					err = Decode(c, data, out.Interface())
				}
				if isLost := err != nil || !same(f.value, out.Elem().Interface()); isLost != f.lost {
					t.Errorf("codec, given %T: lost = %v, want %v (error %v, got %+v)", v, isLost, f.lost, err, out.Elem())
				}
			}
		})
	}
}

func recovered(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return fn()
}
