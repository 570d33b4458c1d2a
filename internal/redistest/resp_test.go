package redistest

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
)

// streams are frames as Redis sends them, one after the other.
var streams = [][]string{
	{"+OK\r\n", "-ERR no\r\n", ":-12\r\n", "$-1\r\n", "*-1\r\n", "$0\r\n\r\n", "*0\r\n"},
	{"$6\r\na\r\nb\r\n\r\n", "*2\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n*0\r\n", "+x\r\n"},
	{"%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n#t\r\n_\r\n", ",1.5\r\n", "(123456789012345678901234567890\r\n", "=7\r\ntxt:abc\r\n", "!5\r\nERR x\r\n"},
	{">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$3\r\n\x00\r\n\r\n", "~2\r\n:1\r\n:2\r\n", "|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n", "|0\r\n:1\r\n"},
}

// split feeds the chunks and returns the frames, what is left, and the error.
func split(inline bool, chunks ...[]byte) (frames []string, rest string, err error) {
	s := splitter{inline: inline}
	for _, c := range chunks {
		s.write(c)
		for err == nil {
			var f []byte
			if f, err = s.next(); f == nil {
				break
			}
			frames = append(frames, string(f))
		}
	}
	return frames, string(s.rest()), err
}

func TestSplitterFindsFrames(t *testing.T) {
	for _, want := range streams {
		stream := []byte(joined(want))
		for i := range len(stream) + 1 {
			got, rest, err := split(false, stream[:i], stream[i:])
			if err != nil || rest != "" || !slices.Equal(got, want) {
				t.Fatalf("split at %d: %q, rest %q, %v; want %q", i, got, rest, err, want)
			}
		}
	}
}

func TestSplitterTakesInlineCommandsFromClients(t *testing.T) {
	want := []string{"PING\r\n", "*1\r\n$4\r\nPING\r\n", "\r\n", "SET a  1\n"}
	got, rest, err := split(true, []byte(joined(want)), []byte("GE"))
	if err != nil || rest != "GE" || !slices.Equal(got, want) {
		t.Errorf("%q, rest %q, %v", got, rest, err)
	}
	args, err := commandArgs([]byte(want[3]))
	if err != nil || len(args) != 3 || string(args[2]) != "1" {
		t.Errorf("%q, %v", args, err)
	}
}

func TestSplitterRefusesWhatIsNotRESP(t *testing.T) {
	for _, in := range []string{
		"GET / HTTP/1.1\r\n", "\r\n", "$x\r\n", "$-2\r\n", "$2\r\nabc\r\n", "$99999999999\r\n", "*1\r\n?\r\n",
		"*2000000000\r\n", "$?\r\n", "*\r\n", "G",
	} {
		if got, _, err := split(false, []byte(in)); !errors.Is(err, errRESP) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	long := bytes.Repeat([]byte("x"), maxInline+1)
	if _, _, err := split(true, long); !errors.Is(err, errRESP) {
		t.Errorf("an endless line: %v", err)
	}
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]any{
		"+OK\r\n":                      "OK",
		"-ERR no\r\n":                  errors.New("ERR no"),
		"!5\r\nERR x\r\n":              errors.New("ERR x"),
		":7\r\n":                       int64(7),
		"$-1\r\n":                      nil,
		"_\r\n":                        nil,
		"#t\r\n":                       true,
		"*2\r\n$1\r\na\r\n*1\r\n_\r\n": []any{"a", []any{nil}},
		"%1\r\n+k\r\n:1\r\n":           []any{"k", int64(1)},
		"|1\r\n+k\r\n:1\r\n+v\r\n":     "v",
	} {
		got, err := decode([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "+", "$5\r\nab\r\n", "*2\r\n:1\r\n", "+a\r\n+b\r\n", ":x\r\n", "?1\r\n"} {
		if got, err := decode([]byte(in)); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestPushOf(t *testing.T) {
	for _, tc := range []struct {
		frame      string
		subscriber bool
		want       push
		ok         bool
	}{
		{"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n", true, push{true, "c", []byte("p")}, true},
		{"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n", false, push{}, false}, // LRANGE, say
		{">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n", false, push{true, "c", []byte("p")}, true},
		{">3\r\n+smessage\r\n$1\r\nc\r\n$1\r\np\r\n", true, push{true, "c", []byte("p")}, true},
		{"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\np\r\n", true, push{true, "c", []byte("p")}, true},
		{"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", true, push{}, true},
		{"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", true, push{}, true},
		{"*2\r\n$4\r\npong\r\n$0\r\n\r\n", true, push{}, false},
		{">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", false, push{}, true}, // client-side caching
		{"+OK\r\n", true, push{}, false},
	} {
		if got, ok := pushOf([]byte(tc.frame), tc.subscriber); ok != tc.ok || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: %+v, %v", tc.frame, got, ok)
		}
	}
}

// FuzzSplitter: however a stream is cut into chunks, it gives the same frames,
// loses no byte, and frames can be looked into.
func FuzzSplitter(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(joined(s)), false)
		f.Add([]byte(joined(s)), true)
	}
	f.Add([]byte("PING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n"), true)
	f.Add([]byte("*1000000000\r\n*1000000000\r\n"), false)
	f.Fuzz(func(t *testing.T, stream []byte, inline bool) {
		if len(stream) > 512 {
			t.Skip("every split of it takes too long")
		}
		want, rest, err := split(inline, stream)
		if joined(want)+rest != string(stream) {
			t.Fatalf("bytes lost: %q and %q", want, rest)
		}
		for _, frame := range want {
			_, _ = commandArgs([]byte(frame))
			_, _ = pushOf([]byte(frame), true)
			_, _ = decode([]byte(frame))
		}
		same := func(how string, got []string, gotRest string, gotErr error) {
			if !slices.Equal(got, want) || gotRest != rest || (gotErr == nil) != (err == nil) {
				t.Fatalf("%s: %q, rest %q, %v; whole: %q, rest %q, %v", how, got, gotRest, gotErr, want, rest, err)
			}
		}
		for i := range stream {
			got, gotRest, gotErr := split(inline, slices.Clone(stream[:i]), stream[i:])
			same("in two", got, gotRest, gotErr)
		}
		bytewise := make([][]byte, len(stream))
		for i := range stream {
			bytewise[i] = stream[i : i+1]
		}
		got, gotRest, gotErr := split(inline, bytewise...)
		same("byte by byte", got, gotRest, gotErr)
	})
}

func joined(s []string) string {
	var b []byte
	for _, x := range s {
		b = append(b, x...)
	}
	return string(b)
}
