package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// A splitter cuts a stream of RESP2 or RESP3 into its top-level values
// ("frames"), however the stream was cut into chunks on its way. It looks at
// types and lengths only and changes no byte.
//
// RESP nests (an array holds values that may be arrays), but a frame ends where
// as many values have been read as were announced, whatever their nesting. So
// one counter of the values still due takes the place of a stack, and a frame
// that arrives in many chunks is not scanned again from its beginning.
type splitter struct {
	buf []byte // bytes not yet returned, the current frame first
	pos int    // how far buf has been scanned
	due int    // values still to come in the current frame; 0: between frames

	inline bool // the stream is a client's: a frame may also be a plain line
}

var errRESP = errors.New("not RESP")

// maxLength is more than Redis sends or accepts (512 MiB), and small enough
// that sums of positions and counts cannot overflow.
const maxLength = 1 << 30

// maxInline is the longest inline command that Redis takes.
const maxInline = 64 << 10

func (s *splitter) write(b []byte) { s.buf = append(s.buf, b...) }

// next returns the next complete frame, or nil if there is none yet. The frame
// stays valid; the splitter does not write to it again. After an error the
// stream cannot be split any more: rest returns what is left of it.
func (s *splitter) next() ([]byte, error) {
	if s.due == 0 {
		if len(s.buf) == 0 {
			return nil, nil
		}
		if s.inline && s.buf[0] != '*' {
			return s.line()
		}
		s.due = 1
	}
	for s.due > 0 {
		ok, err := s.value()
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, nil
		}
	}
	frame := s.buf[:s.pos:s.pos]
	s.buf, s.pos = s.buf[s.pos:], 0
	return frame, nil
}

// rest returns and forgets all bytes that next has not returned.
func (s *splitter) rest() []byte {
	b := s.buf
	s.buf, s.pos, s.due = nil, 0, 0
	return b
}

// line returns an inline command ("PING\r\n", as typed into telnet).
func (s *splitter) line() ([]byte, error) {
	i := bytes.IndexByte(s.buf, '\n')
	if i < 0 {
		if len(s.buf) > maxInline {
			return nil, fmt.Errorf("%w: no line end in %d bytes", errRESP, maxInline)
		}
		return nil, nil
	}
	frame := s.buf[: i+1 : i+1]
	s.buf = s.buf[i+1:]
	return frame, nil
}

// value scans one value, or the head of one that holds others, and reports
// whether all of it was there.
func (s *splitter) value() (bool, error) {
	if s.pos == len(s.buf) {
		return false, nil
	}
	kind := s.buf[s.pos]
	line, end := cutLine(s.buf, s.pos)
	if end < 0 {
		return false, s.checkOpenLine(kind)
	}
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(': // simple: the line is all
		s.pos = end
		s.due--
		return true, nil
	case '$', '!', '=': // a length, that many bytes, CR LF
		n, err := length(line)
		if err != nil {
			return false, err
		}
		if n >= 0 {
			if len(s.buf) < end+n+2 {
				return false, nil
			}
			if s.buf[end+n] != '\r' || s.buf[end+n+1] != '\n' {
				return false, fmt.Errorf("%w: no line end after %d bytes", errRESP, n)
			}
			end += n + 2
		}
		s.pos = end
		s.due--
		return true, nil
	case '*', '~', '>': // a count, that many values
		return s.aggregate(line, end, 1, 0)
	case '%': // pairs
		return s.aggregate(line, end, 2, 0)
	case '|': // pairs that precede the value that they describe
		return s.aggregate(line, end, 2, 1)
	}
	return false, fmt.Errorf("%w: type %q", errRESP, kind)
}

func (s *splitter) aggregate(line []byte, end, per, extra int) (bool, error) {
	n, err := length(line)
	if err != nil {
		return false, err
	}
	s.due += max(n, 0)*per + extra - 1
	if s.due > maxLength {
		return false, fmt.Errorf("%w: %d values", errRESP, s.due)
	}
	s.pos = end
	return true, nil
}

// checkOpenLine refuses a first byte that starts no value as soon as it comes,
// so that a stream of something else is not collected for ever.
func (s *splitter) checkOpenLine(kind byte) error {
	if bytes.IndexByte([]byte("+-:_,#($!=*~>%|"), kind) < 0 {
		return fmt.Errorf("%w: type %q", errRESP, kind)
	}
	return nil
}

// cutLine returns the line that begins at from, without its type and CR LF,
// and where it ends, or -1 if its end is not there yet.
func cutLine(buf []byte, from int) (line []byte, end int) {
	i := bytes.Index(buf[from:], []byte("\r\n"))
	if i < 0 {
		return nil, -1
	}
	return buf[from+1 : max(from+i, from+1)], from + i + 2
}

// length reads the number of a bulk or aggregate head; -1 is null.
func length(line []byte) (int, error) {
	n, err := strconv.ParseInt(string(line), 10, 32)
	if err != nil || n < -1 || n > maxLength {
		return 0, fmt.Errorf("%w: length %q", errRESP, line)
	}
	return int(n), nil
}

// commandArgs returns the arguments of a command frame: an array of bulk
// strings or a line. They point into the frame. An empty frame, which Redis
// ignores, has none.
func commandArgs(frame []byte) ([][]byte, error) {
	if len(frame) == 0 || frame[0] != '*' {
		return bytes.Fields(frame), nil
	}
	return bulks(frame)
}

// bulks returns the elements of an array or push of bulk or simple strings and
// integers; other elements are an error.
func bulks(frame []byte) ([][]byte, error) {
	line, at := cutLine(frame, 0)
	n, err := length(line)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for range n {
		if at >= len(frame) {
			return nil, fmt.Errorf("%w: too short", errRESP)
		}
		kind := frame[at]
		line, end := cutLine(frame, at)
		switch kind {
		case '$':
			size, err := length(line)
			if err != nil {
				return nil, err
			}
			if size < 0 {
				out, at = append(out, nil), end
				continue
			}
			out, at = append(out, frame[end:end+size:end+size]), end+size+2
		case '+', ':':
			out, at = append(out, line), end
		case '_':
			out, at = append(out, nil), end
		default:
			return nil, fmt.Errorf("%w: element of type %q", errRESP, kind)
		}
	}
	return out, nil
}

// decode returns a frame as Go values: see [Held.ReleaseAndWait].
func decode(frame []byte) (any, error) {
	v, rest, err := decodeValue(frame)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes too many", errRESP, len(rest))
	}
	return v, err
}

func decodeValue(b []byte) (v any, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, fmt.Errorf("%w: too short", errRESP)
	}
	line, end := cutLine(b, 0)
	if end < 0 {
		return nil, nil, fmt.Errorf("%w: too short", errRESP)
	}
	rest = b[end:]
	switch b[0] {
	case '+', ',', '(':
		return string(line), rest, nil
	case '-':
		return errors.New(string(line)), rest, nil
	case ':':
		n, err := strconv.ParseInt(string(line), 10, 64)
		return n, rest, err
	case '_':
		return nil, rest, nil
	case '#':
		return string(line) == "t", rest, nil
	}
	n, err := length(line)
	if err != nil || n < 0 {
		return nil, rest, err
	}
	switch b[0] {
	case '$', '!', '=':
		if len(rest) < n+2 {
			return nil, nil, fmt.Errorf("%w: too short", errRESP)
		}
		if s := string(rest[:n]); b[0] == '!' {
			v = errors.New(s)
		} else {
			v = s
		}
		return v, rest[n+2:], nil
	case '*', '~', '>':
		return decodeList(rest, n)
	case '%':
		return decodeList(rest, 2*n)
	case '|':
		if _, rest, err = decodeList(rest, 2*n); err != nil {
			return nil, nil, err
		}
		return decodeValue(rest)
	}
	return nil, nil, fmt.Errorf("%w: type %q", errRESP, b[0])
}

func decodeList(b []byte, n int) (any, []byte, error) {
	list := []any{}
	for range n {
		v, rest, err := decodeValue(b)
		if err != nil {
			return nil, nil, err
		}
		list, b = append(list, v), rest
	}
	return list, b, nil
}
