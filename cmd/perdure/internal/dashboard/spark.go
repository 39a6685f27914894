package dashboard

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// The size of a sparkline in its own units; the page scales it.
const (
	sparkWidth  = 120
	sparkHeight = 32
	sparkBins   = 60
	sparkBin    = 5 * time.Second
	sparkPad    = 2 // above and below, so that a thick line is not cut
)

// Spark is a sparkline of the last five minutes, as SVG paths.
type Spark struct {
	Line, Area string
	Away       []Span // when the database was away
	Label      string // for those who cannot see it
}

// Span is a stretch along the x axis.
type Span struct{ X, Width float64 }

// sample is one value of a moment; NaN is none.
type sample struct {
	at    time.Time
	value float64
	away  bool
}

// spark draws samples. A bin of five seconds shows its mean, or its highest
// value. least is the smallest value that fills the height, so that noise near
// zero does not look like a storm.
func spark(samples []sample, now time.Time, peak bool, least float64) (s Spark, highest float64) {
	var sums, counts, tops [sparkBins]float64
	var away [sparkBins]bool
	last := now.Unix() / int64(sparkBin/time.Second)
	for _, p := range samples {
		bin := int64(sparkBins) - 1 - (last - p.at.Unix()/int64(sparkBin/time.Second))
		if bin < 0 || bin >= sparkBins {
			continue
		}
		away[bin] = away[bin] || p.away
		if math.IsNaN(p.value) {
			continue
		}
		sums[bin] += p.value
		counts[bin]++
		tops[bin] = max(tops[bin], p.value)
	}
	var values [sparkBins]float64
	for i := range values {
		switch {
		case counts[i] == 0:
			values[i] = math.NaN()
		case peak:
			values[i] = tops[i]
		default:
			values[i] = sums[i] / counts[i]
		}
		if values[i] > highest {
			highest = values[i]
		}
	}
	s.Line, s.Area = paths(values[:], max(highest, least))
	s.Away = spans(away[:])
	return s, highest
}

// paths draws a line through the values, broken where there is none, and the
// area under it.
func paths(values []float64, top float64) (line, area string) {
	var l, a strings.Builder
	step := float64(sparkWidth) / float64(len(values)-1)
	first, before := -1, math.NaN()
	for i, v := range values {
		last := before
		before = v
		if math.IsNaN(v) {
			continue
		}
		x, y := float64(i)*step, sparkHeight-sparkPad-v/top*(sparkHeight-2*sparkPad)
		if math.IsNaN(last) {
			first = i
			l.WriteString("M" + point(x, y))
			a.WriteString("M" + point(x, sparkHeight) + "L" + point(x, y))
		} else {
			l.WriteString("L" + point(x, y))
			a.WriteString("L" + point(x, y))
		}
		if i == len(values)-1 || math.IsNaN(values[i+1]) {
			if i == first { // a lone value is a dot
				l.WriteString("h.1")
			}
			a.WriteString("L" + point(x, sparkHeight) + "Z")
		}
	}
	return l.String(), a.String()
}

// spans joins bins that are set.
func spans(set []bool) (out []Span) {
	width := float64(sparkWidth) / float64(len(set))
	before := false
	for i, on := range set {
		switch {
		case on && before:
			out[len(out)-1].Width += width
		case on:
			out = append(out, Span{X: float64(i) * width, Width: width})
		}
		before = on
	}
	return out
}

func point(x, y float64) string { return short(x) + " " + short(y) }

// short writes a coordinate with at most one decimal.
func short(f float64) string {
	return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64)
}
