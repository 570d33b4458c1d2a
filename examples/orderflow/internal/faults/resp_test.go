package faults

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestReadFrame(t *testing.T) {
	tests := map[string]struct {
		frame   string
		message bool
	}{
		"status":             {"+OK\r\n", false},
		"error":              {"-ERR no\r\n", false},
		"number":             {":12\r\n", false},
		"nil bulk":           {"$-1\r\n", false},
		"bulk with line end": {"$4\r\na\r\nb\r\n", false},
		"nested array":       {"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", false},
		"nil array":          {"*-1\r\n", false},
		"map":                {"%1\r\n+k\r\n*0\r\n", false},
		"attribute":          {"|1\r\n+k\r\n+v\r\n:1\r\n", false},
		"subscribed":         {"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", false},
		"message of RESP2":   {"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", true},
		"message of RESP3":   {">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", true},
		"message by pattern": {">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\nx\r\n", true},
		"sharded message":    {">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", true},
		"value \"message\"":  {"$7\r\nmessage\r\n", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(tt.frame + "+next\r\n"))
			got, err := readFrame(r, nil)
			if err != nil || string(got) != tt.frame {
				t.Fatalf("read %q, %v", got, err)
			}
			if isMessage(got) != tt.message {
				t.Errorf("is a message: %v, want %v", !tt.message, tt.message)
			}
			if next, err := readFrame(r, nil); err != nil || string(next) != "+next\r\n" {
				t.Errorf("then read %q, %v", next, err)
			}
		})
	}
}

// What is read is what came, and nothing makes the reader panic or keep room
// for what has not come.
func FuzzReadFrame(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n:2\r\n", ">1\r\n$-1\r\n", "%1\r\n+a\r\n+b\r\n", "$99999999\r\n", "*-2\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		var all []byte
		for {
			before := len(all)
			var err error
			if all, err = readFrame(r, all); err != nil {
				return
			}
			isMessage(all[before:])
			if !bytes.HasPrefix(data, all) {
				t.Fatalf("read %q of %q", all, data)
			}
		}
	})
}
