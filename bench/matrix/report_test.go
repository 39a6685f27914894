package matrix

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// write writes the tables as Markdown.
func (t *table) write(out io.Writer, took time.Duration) {
	for i, r := range t.rows {
		fmt.Fprintf(out, "%s:\n", r.name)
		for k, c := range t.candidates {
			x := t.cells[i][k]
			fmt.Fprintf(out, "   %-26s %-40s done %d failed %d (%d tx) unknown %d reads %d late %d; lasted %s, dialed %d ran %d\n", c.Name, x.cell(), x.done, x.failed, x.txFailed, x.unknown, x.readsOff, x.late, x.lasted.Round(time.Millisecond), x.dialed, x.ran)
			for _, e := range x.examples {
				fmt.Fprintf(out, "        %s\n", e)
			}
		}
	}
	fmt.Fprintf(out, "%s\n", took)
}

// cell says in a few words what has become of the work.
func (r result) cell() string {
	if r.notRun != "" {
		return "not run: " + r.notRun
	}
	var bad []string
	for _, n := range []struct {
		n    int
		what string
	}{{r.lost, "lost"}, {r.doubled, "doubled"}, {r.wrong, "wrongly reported"}} {
		if n.n > 0 {
			bad = append(bad, fmt.Sprintf("**%d %s**", n.n, n.what))
		}
	}
	text := strings.Join(bad, ", ")
	if text == "" {
		text = "ok"
	}
	if r.recovered < 0 {
		return text + ", not back"
	}
	return fmt.Sprintf("%s %.1f s", text, r.recovered.Seconds())
}
