package redistest

// Splitter cuts a stream of RESP2 or RESP3 into its top-level values (frames),
// however the stream was cut into chunks on its way. The zero Splitter is ready.
// It is for one goroutine.
type Splitter struct{ s splitter }

// Write adds bytes of the stream.
func (s *Splitter) Write(b []byte) { s.s.write(b) }

// Next returns the next complete frame, which nobody writes to any more, or nil
// if there is none yet. After an error the stream cannot be split any more.
func (s *Splitter) Next() ([]byte, error) { return s.s.next() }

// Bulks returns the elements of a frame that is an array or a push of strings
// and integers, nil for a null; it is how a command and a message look. The
// elements are part of the frame. Other frames are an error.
func Bulks(frame []byte) ([][]byte, error) { return bulks(frame) }

// Decode returns a frame as Go values: string, int64, bool, nil, error, and
// []any for what holds others.
func Decode(frame []byte) (any, error) { return decode(frame) }
