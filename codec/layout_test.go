package codec

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

type (
	Inner struct {
		A int
		B int `msgpack:"bee" json:"bee"`
		C int `msgpack:"-" json:"-"`
	}
	Middle struct {
		Inner
		D int `msgpack:"dee,omitempty" json:"dee"`
	}
)

// TestLayoutIsTheLibrarys compares the field lists that Check and Fingerprint
// go by with what the libraries write.
func TestLayoutIsTheLibrarys(t *testing.T) {
	values := []any{
		order{Remark: "x"}, customer{}, Middle{D: 1}, Inner{},
		struct {
			Middle
			E int `msgpack:"e,alias:f" json:"e,omitempty"`
		}{Middle{D: 1}, 1},
		struct {
			Middle `msgpack:"m,noinline" json:"m"`
			F      int `msgpack:" f " json:" f "`
		}{Middle{D: 1}, 1},
		struct {
			A int
			Inner
		}{},
		struct {
			base
			Number
			_ int
			X int `msgpack:"alias:y" json:"\""`
			Y int `msgpack:"-," json:"-,"`
		}{},
		struct {
			Other `msgpack:",inline"`
			P     *int `msgpack:"" json:",string"`
		}{},
	}
	for _, v := range values {
		var keys map[string]any
		if err := msgpack.Unmarshal(must(msgpack.Marshal(pointerTo(v))), &keys); err != nil {
			t.Fatal(err)
		}
		compareNames(t, msgpackDialect{}, reflect.TypeOf(v), keys)
		keys = nil
		if err := json.Unmarshal(must(json.Marshal(pointerTo(v))), &keys); err != nil {
			t.Fatal(err)
		}
		if _, clash := v.(struct {
			A int
			Inner
		}); !clash { // JSON refuses that
			compareNames(t, jsonDialect{}, reflect.TypeOf(v), keys)
		}
	}
}

func compareNames(t *testing.T, d dialect, typ reflect.Type, written map[string]any) {
	var ours []string
	l := d.layout(typ)
	for _, f := range l.fields {
		ours = append(ours, f.name)
		if got := typ.FieldByIndex(f.index).Type; got != f.typ {
			t.Errorf("%s: %v.%s has index %v, which is a %v", d.codec(), typ, f.path, f.index, got)
		}
	}
	slices.Sort(ours)
	if theirs := slices.Sorted(maps.Keys(written)); !slices.Equal(ours, theirs) {
		t.Errorf("%s: %v\nhere        %q\nthe library %q", d.codec(), typ, ours, theirs)
	}
	if len(l.losses) > 0 {
		t.Errorf("%s: %v: losses %+v", d.codec(), typ, l.losses)
	}
}
