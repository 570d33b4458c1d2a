package faults

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Limits of what is taken for a frame of the Redis protocol.
const (
	maxBulk  = 64 << 20
	maxItems = 1 << 20
	maxDepth = 16
)

var errFrame = errors.New("not a frame of the Redis protocol")

// readFrame appends one frame of RESP2 or RESP3 to dst, as it is.
func readFrame(r *bufio.Reader, dst []byte) ([]byte, error) { return readNested(r, dst, maxDepth) }

func readNested(r *bufio.Reader, dst []byte, depth int) ([]byte, error) {
	if depth == 0 {
		return dst, fmt.Errorf("%w: nested too deeply", errFrame)
	}
	line, err := r.ReadSlice('\n')
	if err != nil {
		return dst, err
	}
	dst = append(dst, line...)
	kind := line[0]
	switch kind {
	case '+', '-', ':', '_', '#', ',', '(':
		return dst, nil
	case '$', '=', '!':
		n, err := size(line, maxBulk)
		if err != nil || n < 0 {
			return dst, err
		}
		return readBulk(r, dst, n+len("\r\n"))
	case '*', '>', '~', '%', '|':
		n, err := size(line, maxItems)
		if err != nil {
			return dst, err
		}
		if kind == '%' || kind == '|' {
			n *= 2
		}
		if kind == '|' { // an attribute precedes what it is about
			n++
		}
		for range n {
			if dst, err = readNested(r, dst, depth-1); err != nil {
				return dst, err
			}
		}
		return dst, nil
	default:
		return dst, fmt.Errorf("%w: it begins with %q", errFrame, kind)
	}
}

// readBulk appends n bytes to dst. It grows with what really comes.
func readBulk(r *bufio.Reader, dst []byte, n int) ([]byte, error) {
	for n > 0 {
		if r.Buffered() == 0 {
			if _, err := r.Peek(1); err != nil {
				return dst, err
			}
		}
		part, err := r.Peek(min(n, r.Buffered()))
		if err != nil {
			return dst, err
		}
		dst = append(dst, part...)
		n -= len(part)
		if _, err := r.Discard(len(part)); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// size reads the number in a line such as "$12\r\n". It is -1 for a nil.
func size(line []byte, limit int) (int, error) {
	digits, ok := bytes.CutSuffix(line[1:], []byte("\r\n"))
	n, err := strconv.Atoi(string(digits))
	if !ok || err != nil || n < -1 || n > limit {
		return 0, fmt.Errorf("%w: length %q", errFrame, line)
	}
	return n, nil
}

// isMessage reports whether a frame is a message of a subscription: an array or
// push that begins with "message", "pmessage" or "smessage".
func isMessage(frame []byte) bool {
	if len(frame) == 0 || (frame[0] != '*' && frame[0] != '>') {
		return false
	}
	_, rest, _ := bytes.Cut(frame, []byte("\r\n"))
	for _, kind := range []string{"$7\r\nmessage\r\n", "$8\r\npmessage\r\n", "$8\r\nsmessage\r\n"} {
		if bytes.HasPrefix(rest, []byte(kind)) {
			return true
		}
	}
	return false
}
