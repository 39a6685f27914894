package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// canvas is a picture in the making. Its colours follow the reader's light or dark scheme.
type canvas struct {
	b strings.Builder
}

const width = 880

// style: the same colours as the pictures of the benchmarks.
const style = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:15px}.s{font-weight:600}.m{fill:#57606a}.c{font:12.5px ui-monospace,monospace}
.bg{fill:#fff}.g{stroke:#d8dee4;fill:none}.l{stroke:#57606a;fill:none;stroke-width:1.5}.h{fill:#57606a}.box{fill:#f6f8fa;stroke:#d0d7de}
.ok{--c:#1a7f37;--f:#dafbe1}.again{--c:#0550ae;--f:#ddf4ff}.bad{--c:#bc4c00;--f:#fff1e5}.dim{--c:#57606a;--f:#eaeef2}
.k{stroke:var(--c);fill:none;stroke-width:2.5}.f{fill:var(--f);stroke:var(--c)}.d{fill:var(--c)}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9da7b3}.bg{fill:#0d1117}.g{stroke:#30363d}.l{stroke:#9da7b3}.h{fill:#9da7b3}.box{fill:#161b22;stroke:#30363d}
.ok{--c:#56d364;--f:#12261e}.again{--c:#58a6ff;--f:#121d2f}.bad{--c:#f0883e;--f:#2a1d12}.dim{--c:#9da7b3;--f:#21262d}}
</style>
`

func newCanvas(height int, title, desc string) *canvas {
	c := &canvas{}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n", width, height)
	fmt.Fprintf(&c.b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n", html.EscapeString(title), html.EscapeString(desc))
	c.b.WriteString(style)
	fmt.Fprintf(&c.b, `<rect class="bg" width="%d" height="%d"/>`+"\n", width, height)
	c.text(24, 30, "t", title)
	return c
}

func (c *canvas) svg() string { return c.b.String() + "</svg>\n" }

// text writes s from x on; classes are those of the style.
func (c *canvas) text(x, y float64, class, s string) { c.anchored(x, y, class, "start", s) }

func (c *canvas) anchored(x, y float64, class, anchor, s string) {
	fmt.Fprintf(&c.b, `<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`+"\n", class, num(x), num(y), anchor, html.EscapeString(s))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, `<path class="%s" d="M%s %sL%s %s"/>`+"\n", class, num(x1), num(y1), num(x2), num(y2))
}

func (c *canvas) dashed(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, `<path class="%s" stroke-dasharray="5 4" d="M%s %sL%s %s"/>`+"\n", class, num(x1), num(y1), num(x2), num(y2))
}

// arrow draws a line with a head at its end.
func (c *canvas) arrow(x1, y1, x2, y2 float64) {
	c.line("l", x1, y1, x2, y2)
	const length, half = 9, 4
	a := math.Atan2(y2-y1, x2-x1)
	back := func(side float64) (x, y float64) {
		return x2 - length*math.Cos(a) - side*half*math.Sin(a), y2 - length*math.Sin(a) + side*half*math.Cos(a)
	}
	lx, ly := back(1)
	rx, ry := back(-1)
	fmt.Fprintf(&c.b, `<path class="h" d="M%s %sL%s %sL%s %sz"/>`+"\n", num(x2), num(y2), num(lx), num(ly), num(rx), num(ry))
}

// cross marks what breaks.
func (c *canvas) cross(x, y float64) {
	c.line("k bad", x-6, y-6, x+6, y+6)
	c.line("k bad", x-6, y+6, x+6, y-6)
}

// box draws a rectangle with lines of text in its middle, the first of them bold.
func (c *canvas) box(class string, x, y, w, h float64, lines ...string) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="6"/>`+"\n", class, num(x), num(y), num(w), num(h))
	top := y + h/2 - 9*float64(len(lines)-1) + 4.5
	for i, s := range lines {
		class := ""
		if i == 0 {
			class = "s"
		}
		c.anchored(x+w/2, top+18*float64(i), class, "middle", s)
	}
}

// band fills a rectangle.
func (c *canvas) band(class string, x, y, w, h float64) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="3"/>`+"\n", class, num(x), num(y), num(w), num(h))
}

func (c *canvas) dot(class string, x, y, r float64) {
	fmt.Fprintf(&c.b, `<circle class="d %s" cx="%s" cy="%s" r="%s"/>`+"\n", class, num(x), num(y), num(r))
}

// curve draws a line through points, given as pairs of x and y.
func (c *canvas) curve(class string, points ...float64) {
	fmt.Fprintf(&c.b, `<path class="%s" d="`, class)
	for i := 0; i+1 < len(points); i += 2 {
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		c.b.WriteString(letter + num(points[i]) + " " + num(points[i+1]))
	}
	c.b.WriteString("\"/>\n")
}

// num writes a coordinate with one digit at most, so that pictures are the same everywhere.
func num(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}
