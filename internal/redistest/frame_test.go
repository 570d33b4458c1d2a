package redistest_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/doppio-cache/doppio/internal/redistest"
)

func TestSplitterGivesFramesHoweverTheyAreCut(t *testing.T) {
	stream := "*2\r\n$3\r\nGET\r\n$1\r\na\r\n+OK\r\n>2\r\n$1\r\nx\r\n:7\r\n-ERR no\r\n"
	want := []any{[]any{"GET", "a"}, "OK", []any{"x", int64(7)}, errors.New("ERR no")}
	for size := 1; size <= len(stream); size++ {
		var s redistest.Splitter
		var got []any
		for at := 0; at < len(stream); at += size {
			s.Write([]byte(stream[at:min(at+size, len(stream))]))
			for {
				frame, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				if frame == nil {
					break
				}
				v, err := redistest.Decode(frame)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("in pieces of %d: got %v, want %v", size, got, want)
		}
	}
}

func TestBulksOfACommand(t *testing.T) {
	got, err := redistest.Bulks([]byte("*2\r\n$3\r\nGET\r\n$-1\r\n"))
	if err != nil || len(got) != 2 || string(got[0]) != "GET" || got[1] != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := redistest.Bulks([]byte("+OK\r\n")); err == nil {
		t.Error("a simple string has no elements")
	}
}
