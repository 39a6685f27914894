package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/perdure/perdure/breaker"
)

// test returns what a fresh breaker's failure adds to the score, and where it trips.
func test() (climb, limit float64) {
	b, err := breaker.New(breaker.Config{}, breaker.Options{})
	if err != nil {
		return 0, 0 // the zero Config is valid
	}
	if p, ok := b.Admit(); ok {
		p.Failure(0)
	}
	s := b.Snapshot()
	return math.Round(s.Score), math.Round(s.Threshold)
}

// breakers shows the score of a breaker over calls, and how calls come back.
func breakers() string {
	climb, limit := test()
	c := newCanvas(424, "Noticing, and coming back",
		"On the left the score of the adaptive rule: at one failure in a hundred it falls back to zero, at one in five it climbs to the limit. "+
			"On the right the calls let in at a time after the breaker has opened: none, one, two, then doubling until all.")
	const left, top, w, h = 60.0, 84.0, 400.0, 270.0
	const onset, calls = 250, 330
	c.text(left, 66, "s", "the score, call by call")
	y := func(s float64) float64 { return top + h - s/(limit*1.12)*h }
	x := func(i int) float64 { return left + w*float64(i)/calls }
	c.line("g", left, top+h, left+w, top+h)
	c.line("g", left, top, left, top+h)
	c.dashed("l", left, y(limit), left+w, y(limit))
	c.text(left+6, y(limit)-7, "m", fmt.Sprintf("limit %.0f: the breaker opens", limit))
	c.dashed("g", x(onset), top, x(onset), top+h)
	c.anchored(x(onset)-8, top+h+20, "m", "end", "1 % of the calls fail")
	c.text(x(onset)+6, top+h+20, "m", "20 % fail")
	r := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // the same picture each time
	score := 0.0
	points := []float64{x(0), y(0)}
	for i := range calls {
		fails := i%100 == 60
		if i >= onset {
			fails = r.Float64() < 0.2
		}
		if fails {
			score += climb
		} else {
			score = max(0, score-1)
		}
		points = append(points, x(i+1), y(min(score, limit)))
		if score >= limit {
			c.dot("bad", x(i+1), y(limit), 5)
			c.anchored(x(i+1)+8, y(limit)+22, "s", "start", fmt.Sprintf("%d calls", i+1-onset))
			break
		}
	}
	c.curve("k again", points...)
	c.anchored(left-8, y(climb)+4, "m", "end", fmt.Sprintf("+%.0f", climb))
	c.anchored(left-8, top+h+4, "m", "end", "0")
	c.comeBack()
	c.text(24, 408, "m", "A fresh breaker: healthy is taken to be 1.6 % at most. A failure adds "+fmt.Sprintf("%.0f", climb)+", a success takes 1 away.")
	return c.svg()
}

// comeBack draws how many calls are let in at a time after an opening, on a logarithmic scale.
func (c *canvas) comeBack() {
	const left, top, w, h = 530.0, 84.0, 326.0, 270.0
	c.text(left, 66, "s", "calls let in at a time, by seconds")
	y := func(n float64) float64 { return top + h - 26 - (h-60)*math.Log2(n)/9 }
	x := func(s float64) float64 { return left + w*s/2.5 }
	c.line("g", left, top+h, left+w, top+h)
	c.line("g", left, top, left, top+h)
	for s := range 3 {
		c.anchored(x(float64(s)), top+h+20, "m", "middle", fmt.Sprintf("%d s", s))
	}
	for _, n := range []float64{1, 4, 32, 512} {
		c.anchored(left-8, y(n)+4, "m", "end", fmt.Sprintf("%.0f", n))
	}
	c.line("k bad", x(0), top+h-2, x(0.9), top+h-2)
	c.text(x(0.06), top+h-12, "", "open")
	c.curve("k again", x(0.9), y(1), x(0.95), y(1), x(0.95), y(2), x(1), y(2))
	c.anchored(x(0.86), y(2)-2, "", "end", "half-open")
	points := []float64{x(1), y(2)}
	for step := range 8 {
		n := float64(int(4) << step)
		from := 1 + 0.125*float64(step)
		points = append(points, x(from), y(n), x(from+0.125), y(n))
	}
	points = append(points, x(2), top)
	c.curve("k ok", points...)
	c.anchored(x(1.42), y(64)-24, "", "end", "closed: the ramp")
	c.text(x(2)+8, top+14, "", "all")
}

// budgets shows the bound on repeats, and what happens to the bucket in an outage.
func budgets() string {
	c := newCanvas(424, "What repeats may cost",
		"On the left the repeats a second when all attempts fail, by calls a second: two for each call without a budget, at most a tenth of the calls with one, but five always. "+
			"On the right the coins of a bucket when everything fails, at a hundred calls a second: it is empty within seven seconds.")
	const left, top, w, h = 60.0, 84.0, 350.0, 270.0
	c.text(left, 66, "s", "repeats a second when all fails")
	x := func(calls float64) float64 { return left + w*math.Log10(calls)/4 }
	y := func(n float64) float64 { return top + h - h*math.Log10(n)/4.4 }
	for i := range 5 {
		n := math.Pow10(i)
		c.line("g", left, y(n), left+w, y(n))
		c.anchored(left-8, y(n)+4, "m", "end", fmt.Sprintf("%.0f", n))
		c.anchored(x(n), top+h+20, "m", "middle", fmt.Sprintf("%.0f", n))
	}
	c.anchored(left+w, top+h+40, "m", "end", "calls a second")
	c.curve("k bad", x(1), y(2), x(1e4), y(2e4))
	c.anchored(x(110), y(700), "", "end", "three attempts: 2 × calls")
	c.curve("k again", x(1), y(5), x(50), y(5), x(1e4), y(1000))
	c.text(x(130), y(4.6), "", "max(5, 0.1 × calls)")

	const left2, w2 = 500.0, 356.0
	c.text(left2, 66, "s", "coins, at 100 calls a second")
	x2 := func(s float64) float64 { return left2 + w2*(s+3)/15 }
	y2 := func(coins float64) float64 { return top + h - h*coins/1100 }
	for _, n := range []float64{0, 500, 1000} {
		c.line("g", left2, y2(n), left2+w2, y2(n))
		c.anchored(left2-8, y2(n)+4, "m", "end", fmt.Sprintf("%.0f", n))
	}
	for _, s := range []float64{0, 5, 10} {
		c.anchored(x2(s), top+h+20, "m", "middle", fmt.Sprintf("%.0f s", s))
	}
	c.dashed("g", x2(0), top, x2(0), top+h)
	c.text(x2(0)+8, top+12, "m", "all attempts fail from here on")
	const step, memory, rate, price = 0.01, 10.0, 8.0, 14.0
	coins := 1000.0
	points := []float64{x2(-3), y2(coins), x2(0), y2(coins)}
	empty := 0.0
	for s := 0.0; s < 12; s += step {
		coins -= step * coins / memory
		if coins >= price {
			coins -= step * rate * price
			empty = s
		}
		points = append(points, x2(s), y2(max(coins, 0)))
	}
	c.curve("k ok", points...)
	c.text(x2(2.6), y2(640), "", "8 repeats a second, 14 coins each")
	c.dot("bad", x2(empty), y2(0), 5)
	c.text(x2(empty)+8, y2(60), "", "the floor: 5 a second")
	return c.svg()
}
