package main

// ambiguity shows what a client sees of a COMMIT that happened and of one that did not.
func ambiguity() string {
	c := newCanvas(376, "One error, two truths",
		"Two exchanges between a client and a server. On the left COMMIT arrives, is carried out, and its reply is lost. "+
			"On the right COMMIT itself is lost. The client gets the same error in both.")
	c.exchange(40, "the reply is lost", true)
	c.exchange(470, "the COMMIT is lost", false)
	c.line("g", width/2, 52, width/2, 356)
	return c.svg()
}

func (c *canvas) exchange(x float64, name string, arrives bool) {
	const client, server = 40, 290
	left, right := x+client, x+server
	c.text(x, 66, "s", name)
	c.anchored(left, 92, "m", "middle", "client")
	c.anchored(right, 92, "m", "middle", "server")
	c.line("g", left, 100, left, 286)
	c.line("g", right, 100, right, 286)
	for i, sql := range []string{"begin", "insert into orders …"} {
		y := 124 + 38*float64(i)
		c.anchored((left+right)/2, y-6, "c", "middle", sql)
		c.arrow(left, y, right-2, y+6)
	}
	const y = 206
	c.anchored(left+72, y-7, "c", "middle", "commit")
	if arrives {
		c.arrow(left, y, right-2, y+6)
		c.text(right+10, y+14, "m", "written")
		c.text(right+10, y+31, "m", "to disk")
		c.line("l", right, y+34, left+118, y+41)
		c.cross(left+110, y+42)
		c.box("f ok", right-118, 296, 200, 52, "the order is there")
	} else {
		c.line("l", left, y, left+120, y+3)
		c.cross(left+130, y+3)
		c.text(right+10, y+31, "m", "rolls back")
		c.box("f bad", right-118, 296, 200, 52, "there is no order")
	}
	c.dot("bad", left, y+58, 4)
	c.text(left-40, 312, "c", "unexpected")
	c.text(left-40, 330, "c", "EOF")
}

// outcomes shows how a COMMIT ends.
func outcomes() string {
	c := newCanvas(404, "How a COMMIT ends",
		"A COMMIT is written once. If it is answered, or no byte of it was written, its end is known. Otherwise a resolver asks on another connection, "+
			"and the answer is committed, aborted, or unknown. Committed is success, aborted is repeated, unknown is an error.")
	c.box("box", 24, 150, 184, 84, "COMMIT", "written once, on the", "transaction's connection")
	c.box("box", 290, 56, 250, 84, "it is answered", "COMMIT · ROLLBACK · ERROR", "or no byte of it was written")
	c.box("box", 290, 230, 250, 142, "no reply: a doubt", "the resolver asks, on a", "connection of its own:", "marker row, or xid and", "incarnation of the server")
	c.arrow(208, 176, 284, 124)
	c.arrow(208, 208, 284, 266)
	c.box("f ok", 650, 56, 206, 72, "committed", "success: nil")
	c.box("f again", 650, 166, 206, 88, "aborted", "proven never to be there:", "the whole transaction again")
	c.box("f bad", 650, 292, 206, 88, "unknown", "cannot be proven: an error", "with the evidence")
	c.arrow(540, 88, 644, 88)
	c.arrow(540, 118, 644, 186)
	c.arrow(540, 256, 644, 112)
	c.arrow(540, 290, 644, 226)
	c.arrow(540, 336, 644, 336)
	return c.svg()
}

// parking shows what calls do in an outage, with and without parking.
func parking() string {
	c := newCanvas(362, "An outage (not to scale)",
		"Three lanes under a server that is away for a while. A call that does not park gives up within a second. The prober asks, one probe at a time. "+
			"Calls that park wait, and after a good probe are let in 1, 2, 4 and more at a time.")
	const left, right = 176.0, 856.0
	const down, up = 270.0, 690.0
	lane := func(y float64, lines ...string) {
		for i, s := range lines {
			class := "m"
			if i == 0 {
				class = "s"
			}
			c.text(24, y+18*float64(i), class, s)
		}
	}
	lane(72, "server")
	c.band("f ok", left, 56, down-left, 24)
	c.band("f bad", down, 56, up-down, 24)
	c.band("f ok", up, 56, right-up, 24)
	c.anchored((down+up)/2, 73, "", "middle", "away")
	c.dashed("g", down, 80, down, 340)
	c.dashed("g", up, 80, up, 340)

	lane(120, "without parking", "three attempts")
	for _, x := range []float64{down, down + 9, down + 26} {
		c.cross(x+8, 122)
	}
	c.text(down+54, 127, "", "an error, within a second; whoever called it decides what now")

	lane(180, "prober", "one at a time")
	x := down + 18
	for i, step := range []float64{0, 8, 8, 22, 18, 26, 20, 24, 19, 25, 21, 23, 18, 26, 20, 24, 22, 19, 25, 21, 20} {
		x += step
		if x < up {
			c.cross(x, 182)
		}
		if i == 2 {
			c.line("l", x+9, 196, x+9, 212)
			c.text(x+14, 214, "m", "the third miss in a row opens the breaker of the database")
		}
	}
	c.dot("ok", up+14, 182, 6)
	c.text(up+28, 187, "", "it answers")

	lane(258, "parked calls", "first come, first served")
	for i := range 8 {
		y := 244 + 9*float64(i)
		begin := down + 14 + 34*float64(i)
		end := up + 22 + []float64{0, 20, 20, 42, 42, 42, 42, 60}[i]
		c.line("k dim", begin, y, end, y)
		c.dot("again", end, y, 4)
	}
	c.text(down+14, 336, "m", "no attempt, no budget, no connection is used")
	c.anchored(right, 336, "m", "end", "let in 1, 2, 4, 8 … at a time")
	return c.svg()
}
