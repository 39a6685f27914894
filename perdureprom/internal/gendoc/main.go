// Command gendoc writes docs/metrics.md from what package perdureprom exports.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureprom"
)

func main() {
	out := flag.String("o", "docs/metrics.md", "file to write")
	flag.Parse()
	if err := os.WriteFile(*out, []byte(page(perdureprom.Metrics())), 0o644); err != nil { //nolint:gosec // documentation
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}

const head = `<!-- Written by "go generate ./perdureprom". Change perdureprom, not this page. -->
# Metrics

What package ` + "`perdureprom`" + ` exports. Every metric of a Manager has the label ` + "`manager`" + `, its ` + "`Config.Name`" + `: one program may guard several databases.
` + "`operation`" + ` is the name of an ` + "`Op`" + `; ` + "`operation=\"database\"`" + ` is the breaker of the whole database, and ` + "`operation=\"other\"`" + ` collects the operations for
which the Manager had no room. Counters never fall while a process lives. Rules, alerts and a dashboard made from these are in ` + "`deploy/`" + `.

For a known operation all series are there from the start, at zero, but for ` + "`database_errors_total`" + `, which has those categories and severities that happened, and
` + "`database_retry_delay_seconds`" + `. An operation is known from its first call on.

Histograms are exported in two forms at once. Classic buckets are powers of two of a nanosecond, from 262 µs to 4.6 min, and are exact. Native
histograms (schema 3) hold what the Manager counts, in buckets at most 25 % wide, so that a quantile is off by 22 % at most; below 4.1 µs is the zero bucket.

`

// page returns the text of docs/metrics.md.
func page(metrics []perdureprom.Metric) string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("The values of `outcome`: `succeeded`, `failed` (the error came back as it was: nothing to repeat)")
	for r := perdure.ReasonExhausted; r <= perdure.ReasonPanicked; r++ {
		fmt.Fprintf(&b, ", `%s`", r)
	}
	b.WriteString(".\n\n| metric | type | labels | unit | what it counts | what to do with it |\n|---|---|---|---|---|---|\n")
	for _, m := range metrics {
		labels := "–"
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "` `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", m.Name, m.Type, labels, cmp.Or(m.Unit, "–"), m.Help, m.Use)
	}
	return b.String()
}
