// Package report shows a run: a line per second while it goes on, a table at
// the end. It fits 100 columns, and is plain text where it is not read in a
// terminal.
package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Style says what the reader of the output can do with it.
type Style struct {
	Color bool // escape sequences for colours
	Live  bool // \r: a line may be written over
}

// StyleFor looks at what w is. NO_COLOR (see no-color.org) and TERM=dumb
// switch colours off.
func StyleFor(w io.Writer, getenv func(string) string) Style {
	f, ok := w.(*os.File)
	if !ok {
		return Style{}
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return Style{}
	}
	dumb := getenv("TERM") == "dumb"
	return Style{Live: !dumb, Color: !dumb && getenv("NO_COLOR") == ""}
}

// tone is what a piece of text is to the reader.
type tone string

const (
	plain tone = ""
	bold  tone = "1"
	faint tone = "2"
	good  tone = "32"
	bad   tone = "1;31"
	amber tone = "33"
)

func (s Style) paint(t tone, text string) string {
	if !s.Color || t == plain || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// right pads text on the left to width. Padding comes before painting, which
// takes room that is not seen.
func right(text string, width int) string {
	return strings.Repeat(" ", max(0, width-len([]rune(text)))) + text
}

// left pads text on the right to width.
func left(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-len([]rune(text))))
}

// count writes 12345 as 12,345.
func count[N ~int | ~uint64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// ratio writes a share of a whole in percent; "-" if there is no whole.
func ratio(part, rest uint64) string {
	if part+rest == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(part+rest))
}

// duration writes d with two significant digits or so.
func duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
}
