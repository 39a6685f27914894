package figure

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// Chart is one or more panels of lines with a common scale. Colours follow the reader's light or dark scheme.
type Chart struct {
	// Title and Desc are what a screen reader says.
	Title, Desc string
	// YLabel names what goes up; XLabel what goes to the right.
	XLabel, YLabel string
	// X are the ticks to the right, evenly spaced.
	X []string
	// Y are the ticks upwards, rising; the first and last bound the scale.
	Y []float64
	// Log makes the scale upwards logarithmic; Y must then be positive.
	Log bool
	// Never, if not empty, names a line above the scale for values that are negative.
	Never string
	// Panels stand beside each other.
	Panels []Panel
}

// Panel is one plot.
type Panel struct {
	Title string
	Lines []Line
}

// Line is one series: as many values as the Chart has X. In all panels the
// n-th line means the same and is named by the first panel's.
type Line struct {
	Name   string
	Values []float64
}

const (
	chartWidth  = 880
	plotHeight  = 300
	leftMargin  = 64
	rightMargin = 20
	panelGap    = 36
	neverBand   = 34
	legendRow   = 22
	legendCols  = 2
	topMargin   = 46
	bottom      = 54
)

// style: colours that keep their distance for the colour-blind (P. Tol's bright scheme, adjusted in lightness), ours the strongest.
const style = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:15px}.s{font-weight:600}.m{fill:#57606a}
.b{fill:#fff}.g{stroke:#d8dee4}.l{fill:none;stroke-width:2}.a{fill:none;stroke-width:3.5}
.c0{--c:#0550ae}.c1{--c:#bc4c00}.c2{--c:#8250df}.c3{--c:#1a7f37}.c4{--c:#bf3989}.c5{--c:#7d6608}.c6{--c:#57606a}
.l,.a{stroke:var(--c)}.d{fill:var(--c)}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9da7b3}.b{fill:#0d1117}.g{stroke:#30363d}
.c0{--c:#58a6ff}.c1{--c:#f0883e}.c2{--c:#d2a8ff}.c3{--c:#56d364}.c4{--c:#ff8ac5}.c5{--c:#e3b341}.c6{--c:#9da7b3}}
</style>
`

// maxLines is how many lines the style tells apart.
const maxLines = 7

// Validate returns what is wrong with c, or nil.
func (c *Chart) Validate() error {
	switch {
	case len(c.X) < 2 || len(c.Y) < 2 || len(c.Panels) == 0:
		return fmt.Errorf("chart %q: it needs two ticks each way and a panel", c.Title)
	case c.Log && c.Y[0] <= 0:
		return fmt.Errorf("chart %q: a logarithmic scale begins above zero", c.Title)
	}
	for _, p := range c.Panels {
		if len(p.Lines) == 0 || len(p.Lines) > maxLines || len(p.Lines) != len(c.Panels[0].Lines) {
			return fmt.Errorf("chart %q: panel %q has %d lines", c.Title, p.Title, len(p.Lines))
		}
		for _, l := range p.Lines {
			if len(l.Values) != len(c.X) {
				return fmt.Errorf("chart %q: line %q has %d values, want %d", c.Title, l.Name, len(l.Values), len(c.X))
			}
		}
	}
	return nil
}

// WriteTo draws c as an SVG document.
func (c *Chart) WriteTo(w io.Writer) (int64, error) {
	if err := c.Validate(); err != nil {
		return 0, err
	}
	d := drawing{Chart: c}
	d.draw()
	n, err := io.WriteString(w, d.b.String())
	return int64(n), err
}

// drawing is a Chart that is being drawn.
type drawing struct {
	*Chart

	b   strings.Builder
	top float64 // of the scale
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

func (d *drawing) draw() {
	names := d.Panels[0].Lines
	legend := legendRow * ((len(names) + legendCols - 1) / legendCols)
	never := 0
	if d.Never != "" {
		never = neverBand
	}
	d.top = float64(topMargin + legend + 24 + never)
	height := int(d.top) + plotHeight + bottom
	d.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"title desc\">\n", chartWidth, height)
	d.printf("<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n%s", html.EscapeString(d.Title), html.EscapeString(d.Desc), style)
	d.printf("<rect class=\"b\" width=\"%d\" height=\"%d\"/>\n", chartWidth, height)
	d.text(leftMargin, 26, "t", "start", d.Title)
	for i, l := range names {
		x, y := leftMargin+i%legendCols*(chartWidth-leftMargin)/legendCols, topMargin+i/legendCols*legendRow
		d.printf("<path class=\"%s c%d\"%s d=\"M%d %dh34\"/>\n", class(i), i, dash(i), x, y+4)
		d.mark(i, float64(x+17), float64(y+4))
		d.text(float64(x+44), float64(y+9), "", "start", l.Name)
	}
	width := float64(chartWidth-leftMargin-rightMargin-panelGap*(len(d.Panels)-1)) / float64(len(d.Panels))
	for i, p := range d.Panels {
		d.panel(p, leftMargin+float64(i)*(width+panelGap), width, i == 0)
	}
	d.printf("<text class=\"m\" text-anchor=\"middle\" transform=\"translate(16 %s) rotate(-90)\">%s</text>\n", num(d.top+plotHeight/2), html.EscapeString(d.YLabel))
	d.text(leftMargin+float64(chartWidth-leftMargin-rightMargin)/2, float64(height-12), "m", "middle", d.XLabel)
	d.printf("</svg>\n")
}

func (d *drawing) panel(p Panel, left, width float64, labelled bool) {
	if p.Title != "" {
		d.text(left, d.top-10, "s", "start", p.Title)
	}
	for _, y := range d.Y {
		d.printf("<path class=\"g\" d=\"M%s %sh%s\"/>\n", num(left), num(d.y(y)), num(width))
		if labelled {
			d.text(left-8, d.y(y)+4, "m", "end", Number(y))
		}
	}
	if d.Never != "" {
		d.printf("<path class=\"g\" stroke-dasharray=\"2 4\" d=\"M%s %sh%s\"/>\n", num(left), num(d.y(-1)), num(width))
		if labelled {
			d.text(left-8, d.y(-1)+4, "m", "end", d.Never)
		}
	}
	at := func(i int) float64 { return left + width*(float64(i)+.5)/float64(len(d.X)) }
	for i, x := range d.X {
		d.text(at(i), d.top+plotHeight+18, "m", "middle", x)
	}
	for i, l := range slices.Backward(p.Lines) { // the first is drawn last, above the others
		var path strings.Builder
		for k, v := range l.Values {
			fmt.Fprintf(&path, "%s%s %s", [...]string{"M", "L"}[min(k, 1)], num(at(k)), num(d.y(v)))
		}
		d.printf("<path class=\"%s c%d\"%s d=\"%s\"/>\n", class(i), i, dash(i), path.String())
		for k, v := range l.Values {
			d.mark(i, at(k), d.y(v))
		}
	}
}

// y is where v stands; negative values stand on the line for never.
func (d *drawing) y(v float64) float64 {
	if v < 0 {
		return d.top - neverBand + 4
	}
	low, high := d.Y[0], d.Y[len(d.Y)-1]
	v = min(max(v, low), high)
	if d.Log {
		low, high, v = math.Log(low), math.Log(high), math.Log(v)
	}
	return d.top + plotHeight*(high-v)/(high-low)
}

// mark draws the sign of line i: round, square, diamond in turn, so that colour is not all that tells lines apart.
func (d *drawing) mark(i int, x, y float64) {
	switch i % 3 {
	case 0:
		d.printf("<circle class=\"d c%d\" cx=\"%s\" cy=\"%s\" r=\"4\"/>\n", i, num(x), num(y))
	case 1:
		d.printf("<path class=\"d c%d\" d=\"M%s %sh7v7h-7z\"/>\n", i, num(x-3.5), num(y-3.5))
	default:
		d.printf("<path class=\"d c%d\" d=\"M%s %sl5 5l-5 5l-5-5z\"/>\n", i, num(x), num(y-5))
	}
}

func (d *drawing) text(x, y float64, class, anchor, s string) {
	d.printf("<text class=\"%s\" x=\"%s\" y=\"%s\" text-anchor=\"%s\">%s</text>\n", class, num(x), num(y), anchor, html.EscapeString(s))
}

func class(i int) string {
	if i == 0 {
		return "a"
	}
	return "l"
}

func dash(i int) string {
	return [...]string{"", ` stroke-dasharray="7 4"`, ` stroke-dasharray="2 3"`}[min(i, 1)*(1+i%2)%3]
}

func num(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }
