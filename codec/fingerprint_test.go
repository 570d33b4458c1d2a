package codec

import (
	"reflect"
	"testing"
	"time"
)

// Golden descriptions and fingerprints. A change here makes every stored value
// of every user a miss after an upgrade: if it is meant, it belongs in the
// changelog.
func TestGoldenFingerprints(t *testing.T) {
	const pkg = "github.com/doppio-cache/doppio/codec."
	tests := []struct {
		codec        Codec
		t            reflect.Type
		describe, id string
	}{
		{MsgPack, reflect.TypeFor[int](), "int", "60f24396f77057c3"},
		{MsgPack, reflect.TypeFor[[]byte](), "[]uint8", "87b3fc4f8dd0921a"},
		{MsgPack, reflect.TypeFor[line](), `#0{"Qty":int,"SKU":string}`, "4c95dc8d5c365183"},
		{MsgPack, reflect.TypeFor[*list](), `*#0{"N":int,"Next":*#0}`, "35735f9a18ff34c3"},
		{MsgPack, reflect.TypeFor[nested](), `#0[]#0`, "2a678fe501218096"},
		{MsgPack, reflect.TypeFor[Middle](), `#0{"A":int,"bee":int,"dee":int}`, "7b6b3af50be3e237"},
		{JSON, reflect.TypeFor[Middle](), `#0{"A":int,"bee":int,"dee":int}`, "7b6b3af50be3e237"},
		{MsgPack, reflect.TypeFor[positional](), `#0("B":int,"A" intern:string)`, "138816741bb66d59"},
		{JSON, reflect.TypeFor[positional](), `#0{"A":string,"B" string:int}`, "8359c777714df86e"},
		{MsgPack, reflect.TypeFor[map[status][2]*time.Time](), `map[<` + pkg + `status MarshalText>][2]*<time.Time timestamp>`, "b2bdf29bceebb8b8"},
		{JSON, reflect.TypeFor[map[status][2]*time.Time](), `map[<` + pkg + `status MarshalText>][2]*<time.Time MarshalJSON>`, "e8a846d259e00e0a"},
		{MsgPack, reflect.TypeFor[[]time.Duration](), `[]int64=time.Duration`, "f3c0a3e7346de0c1"},
		{MsgPack, reflect.TypeFor[box[Number]](), `#0{"V":int=` + pkg + `Number}`, "50663a4e261f7520"},
		{MsgPack, reflect.TypeFor[order](), `#0{"Amount":<math/big.Int MarshalText>,"Before":*#0,"Big":uint64,"ByID":map[int]string,"Customer":*#1{"Email":*string,"Name":string},"Flags":map[string]bool,"Labels":map[string]string,"Lines":[]#2{"Qty":int,"SKU":string},"Note":[]uint8,"Paid":bool,"Parts":map[string][]#2,"Placed":<time.Time timestamp>,"Remark":string,"Small":int8,"Status":<` + pkg + `status MarshalText>,"Sum":[4]uint8,"Tags":[]string,"Took":int64=time.Duration,"Total":float64,"Triple":[3]int,"Weight":float32,"id":int64,"no":string}`, "765730f2e45d5747"},
		{JSON, reflect.TypeFor[order](), `#0{"Amount":<math/big.Int MarshalJSON>,"Before":*#0,"Big":uint64,"ByID":map[int]string,"Customer":*#1{"Email":*string,"Name":string},"Flags":map[string]bool,"Labels":map[string]string,"Lines":[]#2{"Qty":int,"SKU":string},"Note":[]uint8,"Paid":bool,"Parts":map[string][]#2,"Placed":<time.Time MarshalJSON>,"Remark":string,"Small":int8,"Status":<` + pkg + `status MarshalText>,"Sum":[4]uint8,"Tags":[]string,"Took":int64=time.Duration,"Total":float64,"Triple":[3]int,"Weight":float32,"id":int64,"no":string}`, "5e7f3924eb563716"},
		{Raw, reflect.TypeFor[string](), "string", "55214f0780059c04"},
		{Raw, reflect.TypeFor[textKey](), "string", "55214f0780059c04"},
		{Raw, reflect.TypeFor[[]byte](), "bytes", "2d83aaba506794c4"},
		{stranger{}, reflect.TypeFor[Middle](), `#0("Inner" "":#1("A" "":int,"B" "msgpack:\"bee\" json:\"bee\"":int,"C" "msgpack:\"-\" json:\"-\"":int),"D" "msgpack:\"dee,omitempty\" json:\"dee\"":int)`, "3b3dd7e2a4f03228"},
		{stranger{}, reflect.TypeFor[event](), `#0("Time" "":<time.Time go>,"Name" "":string)`, "47714b6aad7939b1"},
	}
	for _, test := range tests {
		if got := Describe(test.codec, test.t); got != test.describe {
			t.Errorf("Describe(%s, %v)\n got %s\nwant %s", test.codec.Name(), test.t, got, test.describe)
		}
		if got := Fingerprint(test.codec, test.t); got != test.id {
			t.Errorf("Fingerprint(%s, %v) = %s, want %s", test.codec.Name(), test.t, got, test.id)
		}
	}
}

type positional struct {
	_msgpack struct{} `msgpack:",as_array"`
	B        int      `json:",string"`
	A        string   `msgpack:",intern"`
}

// The first struct of each test is the one that the others are changes of.
func TestFingerprintChanges(t *testing.T) {
	type (
		original struct {
			ID   int64
			Name string
			Line line
			M    map[string][]int
		}
		array struct {
			_msgpack struct{} `msgpack:",as_array"`
			A, B     int
		}
	)
	tests := []struct {
		name          string
		from, to      reflect.Type
		msgpack, json bool // whether it changes for that codec
	}{
		{"renamed type", reflect.TypeFor[Base](), reflect.TypeFor[Other](), false, false},
		{"moved into an embedded struct", reflect.TypeFor[struct{ ID int64 }](), reflect.TypeFor[struct{ Base }](), false, false},
		{"reordered", reflect.TypeFor[struct{ A, B int }](), reflect.TypeFor[struct{ B, A int }](), false, false},
		{"renamed inner type", reflect.TypeFor[original](), reflect.TypeFor[struct {
			ID   int64
			Name string
			Line struct {
				SKU string
				Qty int
			}
			M map[string][]int
		}](), false, false},
		{"field that is not encoded", reflect.TypeFor[Base](), reflect.TypeFor[struct {
			ID int64
			X  int `msgpack:"-" json:"-"`
		}](), false, false},
		{"omitempty", reflect.TypeFor[Base](), reflect.TypeFor[struct {
			ID int64 `msgpack:",omitempty" json:",omitempty"`
		}](), false, false},
		{"same name by tag", reflect.TypeFor[Base](), reflect.TypeFor[struct {
			Id int64 `msgpack:"ID" json:"ID"`
		}](), false, false},

		{"added", reflect.TypeFor[Base](), reflect.TypeFor[struct{ ID, X int64 }](), true, true},
		{"removed", reflect.TypeFor[struct{ ID, X int64 }](), reflect.TypeFor[Base](), true, true},
		{"renamed", reflect.TypeFor[Base](), reflect.TypeFor[struct{ Id int64 }](), true, true},
		{"renamed by msgpack tag", reflect.TypeFor[Base](), reflect.TypeFor[struct {
			ID int64 `msgpack:"id"`
		}](), true, false},
		{"renamed by json tag", reflect.TypeFor[Base](), reflect.TypeFor[struct {
			ID int64 `json:"id"`
		}](), false, true},
		{"json option string", reflect.TypeFor[Base](), reflect.TypeFor[struct {
			ID int64 `json:",string"`
		}](), false, true},
		{"msgpack option intern", reflect.TypeFor[struct{ S string }](), reflect.TypeFor[struct {
			S string `msgpack:",intern"`
		}](), true, false},
		{"retyped", reflect.TypeFor[Base](), reflect.TypeFor[struct{ ID int32 }](), true, true},
		{"int and int64", reflect.TypeFor[Base](), reflect.TypeFor[struct{ ID int }](), true, true},
		{"to a named number", reflect.TypeFor[Base](), reflect.TypeFor[struct{ ID time.Duration }](), true, true},
		{"to another named number", reflect.TypeFor[Number](), reflect.TypeFor[number](), true, true},
		{"to a pointer", reflect.TypeFor[Base](), reflect.TypeFor[struct{ ID *int64 }](), true, true},
		{"slice and array", reflect.TypeFor[[]int](), reflect.TypeFor[[3]int](), true, true},
		{"array length", reflect.TypeFor[[2]int](), reflect.TypeFor[[3]int](), true, true},
		{"map key", reflect.TypeFor[map[int]int](), reflect.TypeFor[map[string]int](), true, true},
		{"type argument", reflect.TypeFor[box[int]](), reflect.TypeFor[box[string]](), true, true},
		{"deep inside", reflect.TypeFor[map[string][]*line](), reflect.TypeFor[map[string][]*struct{ SKU, Qty string }](), true, true},
		{"in a recursion", reflect.TypeFor[list](), reflect.TypeFor[struct {
			N    int
			Next *tree
		}](), true, true},
		{"to a type that encodes itself", reflect.TypeFor[int](), reflect.TypeFor[status](), true, true},
		{"to another that does", reflect.TypeFor[byAddr](), reflect.TypeFor[journal](), true, true},
		{"by position", reflect.TypeFor[struct{ A, B int }](), reflect.TypeFor[array](), true, false},
		{"reordered by position", reflect.TypeFor[array](), reflect.TypeFor[struct {
			_msgpack struct{} `msgpack:",as_array"`
			B, A     int
		}](), true, false},
		{"split differently", reflect.TypeFor[struct {
			A struct{ B, C int }
		}](), reflect.TypeFor[struct {
			A struct{ B int }
			C int
		}](), true, true},
	}
	for _, test := range tests {
		for c, want := range map[Codec]bool{MsgPack: test.msgpack, JSON: test.json} {
			from, to := Fingerprint(c, test.from), Fingerprint(c, test.to)
			if len(from) != 16 {
				t.Errorf("%s: fingerprint %q", test.name, from)
			}
			if changes := from != to; changes != want {
				t.Errorf("%s, %s: changes = %v, want %v\nfrom %s\nto   %s", test.name, c.Name(), changes, want,
					Describe(c, test.from), Describe(c, test.to))
			}
		}
	}
}

// TestLinearInTheType: to look at a type again wherever it occurs would take
// 4^16 steps here.
func TestLinearInTheType(t *testing.T) {
	for _, c := range []Codec{MsgPack, JSON, stranger{}} {
		if err := Check(c, reflect.TypeFor[Wide0]()); err != nil {
			t.Error(err)
		}
		Fingerprint(c, reflect.TypeFor[Wide0]())
	}
}

type (
	Wide0  struct{ A, B, C, D *Wide1 }
	Wide1  struct{ A, B, C, D *Wide2 }
	Wide2  struct{ A, B, C, D *Wide3 }
	Wide3  struct{ A, B, C, D *Wide4 }
	Wide4  struct{ A, B, C, D *Wide5 }
	Wide5  struct{ A, B, C, D *Wide6 }
	Wide6  struct{ A, B, C, D *Wide7 }
	Wide7  struct{ A, B, C, D *Wide8 }
	Wide8  struct{ A, B, C, D *Wide9 }
	Wide9  struct{ A, B, C, D *Wide10 }
	Wide10 struct{ A, B, C, D *Wide11 }
	Wide11 struct{ A, B, C, D *Wide12 }
	Wide12 struct{ A, B, C, D *Wide13 }
	Wide13 struct{ A, B, C, D *Wide14 }
	Wide14 struct{ A, B, C, D *Wide15 }
	Wide15 struct{ A, B, C, D *Wide0 }
)

func TestFingerprintOfOtherCodecs(t *testing.T) {
	type a struct {
		X int `yaml:"x"`
		y int
	}
	type b struct {
		X int `yaml:"z"`
		y int
	}
	type c struct {
		X int `yaml:"x"`
	}
	want := Fingerprint(stranger{}, reflect.TypeFor[a]())
	for _, other := range []reflect.Type{reflect.TypeFor[b](), reflect.TypeFor[c]()} {
		if Fingerprint(stranger{}, other) == want {
			t.Errorf("%s looks like %s", Describe(stranger{}, other), Describe(stranger{}, reflect.TypeFor[a]()))
		}
	}
	Fingerprint(stranger{}, reflect.TypeFor[reflect.Value]()) // must end
}
