package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/doppio-cache/doppio/internal/chaos/round"
	"github.com/doppio-cache/doppio/internal/chaos/wire"
)

// Size and colours of the chart. The colours are told apart by most people who
// see few, and in grey.
const (
	width      = 13 * vg.Inch
	height     = 9 * vg.Inch
	labelSpace = 118 // points above the plots, for the names of the faults
)

var (
	blue   = color.RGBA{R: 0x00, G: 0x5a, B: 0xb5, A: 0xff}
	orange = color.RGBA{R: 0xd9, G: 0x6a, B: 0x10, A: 0xff}
	band   = color.RGBA{R: 0xe6, G: 0xe6, B: 0xe6, A: 0xff}
	ink    = color.RGBA{R: 0x33, G: 0x33, B: 0x33, A: 0xff}
)

// smallest is where staleness 0 is drawn: a logarithm has no 0.
const smallest = 0.0001

// Chart draws staleness and hit ratios over time and, if there is anything of
// the kind, how often stale values were served and loads made ahead of time.
// format is svg, png or pdf.
func Chart(w io.Writer, r *round.Result, format string) error {
	plots, err := plots(r)
	if err != nil {
		return err
	}
	canvas, err := draw.NewFormattedCanvas(width, height, format)
	if err != nil {
		return fmt.Errorf("report: chart: %w", err)
	}
	c := draw.New(canvas)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, 8, -16, 8, -labelSpace)
	// The first is as high as two others; the axes begin at the same place.
	all := c.Max.Y - c.Min.Y
	rows := [][]*plot.Plot{{nil}}
	for _, p := range plots {
		rows = append(rows, []*plot.Plot{p})
	}
	tiles := draw.Tiles{Rows: len(rows), Cols: 1, PadY: 12}
	for i, canvas := range plot.Align(rows, tiles, c)[1:] {
		if i == 0 {
			n := vg.Length(len(rows))
			canvas[0].Max.Y += (all-(n-1)*tiles.PadY)/n + tiles.PadY
		}
		plots[i].Draw(canvas[0])
	}
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return fmt.Errorf("report: chart: %w", err)
	}
	// An SVG names its font only, and not every reader's machine has it.
	_, err = w.Write(bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")))
	return err
}

func plots(r *round.Result) ([]*plot.Plot, error) {
	stale, hits := newPlot(r), newPlot(r)
	stale.Y.Label.Text = "worst staleness"
	stale.Y.Scale, stale.Y.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(decades)
	stale.Y.Min, stale.Y.Max = smallest, 100
	hits.Y.Label.Text = "L1 hit ratio"
	hits.Y.Min, hits.Y.Max = 0, 1
	hits.Y.Tick.Marker = plot.ConstantTicks(percents)

	stale.Add(bands{r, true})
	hits.Add(bands{r, false})
	bound := r.Options.Fleet.Bound.Seconds()
	limit, err := plotter.NewLine(plotter.XYs{{X: 0, Y: bound}, {X: stale.X.Max, Y: bound}})
	if err != nil {
		return nil, err
	}
	limit.LineStyle = draw.LineStyle{Color: ink, Width: 1.2, Dashes: []vg.Length{6, 4}}
	stale.Add(limit)
	for _, s := range []wire.System{wire.Baseline, wire.Doppio} {
		up, err := plotter.NewLine(staleLine(r, s))
		if err != nil {
			return nil, err
		}
		down, err := plotter.NewLine(hitLine(r, s))
		if err != nil {
			return nil, err
		}
		up.LineStyle = draw.LineStyle{Color: colorOf(s), Width: 1.3}
		down.LineStyle = up.LineStyle
		stale.Add(up)
		hits.Add(down)
		hits.Legend.Add(s.String(), down)
	}
	hits.Legend.Add(fmt.Sprintf("bound D = %v", r.Options.Fleet.Bound), limit)
	hits.Legend.Left, hits.Legend.XOffs, hits.Legend.YOffs = true, 8, 8
	hits.Legend.Padding = 2
	all := []*plot.Plot{stale, hits}
	if r.Options.Fleet.Features {
		rates, err := rates(r)
		if err != nil {
			return nil, err
		}
		all = append(all, rates)
	}
	all[len(all)-1].X.Label.Text = "seconds since the start"
	return all, nil
}

// rates is how often Doppio has served stale values, and loaded ahead of time.
func rates(r *round.Result) (*plot.Plot, error) {
	p := newPlot(r)
	p.Y.Label.Text = "a second"
	p.Y.Min = 0
	p.Add(bands{r, false})
	for _, of := range []struct {
		name   string
		dashes []vg.Length
		rate   func(*round.Ratios) float64
	}{
		{"loads ahead of time", []vg.Length{3, 3}, func(x *round.Ratios) float64 { return x.Refreshes }},
		{"calls answered with a stale value", nil, func(x *round.Ratios) float64 { return x.Stale }},
	} {
		var points plotter.XYs
		for i := range r.Hits {
			points = append(points, plotter.XY{X: seconds(r, r.Hits[i].At), Y: of.rate(&r.Hits[i])})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.LineStyle = draw.LineStyle{Color: blue, Width: 1.3, Dashes: of.dashes}
		p.Add(line)
		p.Legend.Add(of.name, line)
	}
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, 8, -4
	p.Legend.Padding = 2
	return p, nil
}

func colorOf(s wire.System) color.Color {
	if s == wire.Doppio {
		return blue
	}
	return orange
}

func newPlot(r *round.Result) *plot.Plot {
	p := plot.New()
	p.X.Min, p.X.Max = 0, seconds(r, r.Phases[len(r.Phases)-1].Ended)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 11, 10
		a.Label.TextStyle.Font.Variant, a.Tick.Label.Font.Variant = "Sans", "Sans"
	}
	p.Legend.TextStyle.Font.Size, p.Legend.TextStyle.Font.Variant = 11, "Sans"
	p.X.Tick.Marker = every(20)
	return p
}

// every marks multiples of a number.
type every float64

// Ticks implements [plot.Ticker].
func (e every) Ticks(from, to float64) (ticks []plot.Tick) {
	for x := math.Ceil(from/float64(e)) * float64(e); x <= to; x += float64(e) {
		ticks = append(ticks, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'f', -1, 64)})
	}
	return ticks
}

func seconds(r *round.Result, at int64) float64 { return time.Duration(at - r.Began).Seconds() }

// coarse is how long each step of the line of staleness is.
const coarse = 0.5

// staleLine is the worst of every step.
func staleLine(r *round.Result, s wire.System) (line plotter.XYs) {
	end := seconds(r, r.Phases[len(r.Phases)-1].Ended)
	worst := make([]float64, int(end/coarse)+1)
	for _, p := range r.Timeline[s] {
		if i := int(seconds(r, p.At) / coarse); i >= 0 && i < len(worst) {
			worst[i] = max(worst[i], p.Staleness.Seconds())
		}
	}
	for i, y := range worst {
		from := float64(i) * coarse
		line = append(line, plotter.XY{X: from, Y: max(smallest, y)}, plotter.XY{X: min(end, from+coarse), Y: max(smallest, y)})
	}
	return line
}

func hitLine(r *round.Result, s wire.System) (line plotter.XYs) {
	for _, p := range r.Hits {
		line = append(line, plotter.XY{X: seconds(r, p.At), Y: p.Ratio[s]})
	}
	return line
}

var decades = []plot.Tick{
	{Value: 0.0001, Label: "0"},
	{Value: 0.001, Label: "1 ms"},
	{Value: 0.01, Label: "10 ms"},
	{Value: 0.1, Label: "100 ms"},
	{Value: 1, Label: "1 s"},
	{Value: 10, Label: "10 s"},
	{Value: 100, Label: "100 s"},
}

var percents = []plot.Tick{
	{Value: 0, Label: "0 %"},
	{Value: 0.25, Label: "25 %"},
	{Value: 0.5, Label: "50 %"},
	{Value: 0.75, Label: "75 %"},
	{Value: 1, Label: "100 %"},
}

// bands shades the times of the faults, and names them above the plot.
type bands struct {
	r      *round.Result
	labels bool
}

// Plot implements [plot.Plotter].
func (b bands) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	style := p.X.Tick.Label
	style.Font.Size = font.Length(10)
	style.Rotation = math.Pi / 3
	style.XAlign, style.YAlign = draw.XLeft, draw.YCenter
	number := 0
	for i := range b.r.Phases {
		o := &b.r.Phases[i]
		if !o.Fault {
			continue
		}
		number++
		from, to := x(seconds(b.r, o.Begins)), x(seconds(b.r, o.Healed))
		c.FillPolygon(band, []vg.Point{{X: from, Y: c.Min.Y}, {X: to, Y: c.Min.Y}, {X: to, Y: c.Max.Y}, {X: from, Y: c.Max.Y}})
		if b.labels {
			c.FillText(style, vg.Point{X: (from + to) / 2, Y: c.Max.Y + 6}, fmt.Sprintf("%d %s", number, o.Label))
		}
	}
}
