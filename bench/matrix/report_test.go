package matrix

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/matrix/subject"
)

// preface says what the tables are; docs/fault-matrix.md begins with it.
const preface = `# What happens when PostgreSQL …

Every fault that can happen to a PostgreSQL server and to the way to it, on real servers, and what becomes of the work of %[1]d callers meanwhile: over perdure,
and over what would be used instead of it. %[2]s, %[3]s, %[4]d cores; servers, callers and the proxy between them on one machine.

%[5]s makes this page in about ten minutes. One row, for every subject and with an example of each error: %[6]s.

Each caller writes rows with keys of its own, in turn by a transaction of one INSERT and by a single INSERT, and reads; then the fault strikes, is met (the row's own
condition says so, by what went over the wire or by what the server tells), ends after a while, and the callers go on until each has had success with each kind of
work. Then what they were told is compared with what is there:

* **ok**: what was said to be done is there once, and what was said to have failed is not there.
* **lost**: said to be done, and not there. **doubled**: there more than once. **wrongly reported**: said to have failed, and there; "of them *n* as safe to repeat" counts those whose
  error the driver itself marks so (pgconn.SafeToRetry).
* The **time** is how long after the end of the fault it took until all callers had success again, with every kind of work; "not back" is not within %[7]s. A peer's cell
  ends then; perdure's goes on, and its test fails if it is not back within %[12]s.

An error says "failed", unless it says that the outcome is unknown. Only perdure's do (Reason outcome_unknown, or the verdict of a single statement whose effect is unknown): those are counted below.
Servers are killed and not machines: they run with fsync off. Each row is perdure's test as well: nothing may be lost, doubled or wrongly reported, no transaction may fail unless nothing can be done about it, and the verdicts and the
breaker's state are compared with what had to happen.

## How each is set up

In [` + "`bench/matrix/subject`" + `](../bench/matrix/subject), with the source of each setting. All: a pool of %[8]d connections, %[9]s for an attempt, %[10]s for a call.

* **perdurepgx, perduresql**: the defaults, with Park (calls wait while the database is away), AttemptTimeout and a CommitTimeout of 3 s; perdure's table is there, so that outcomes are resolved by marker.
* **pgx alone**: pgxpool and pgx.BeginFunc. **database/sql + lib/pq**: with connect_timeout. Neither repeats, but for what database/sql does by itself.
* **pgx + failsafe-go**, **pgx + backoff + gobreaker**: %[11]d attempts with backoff around a breaker. They repeat what is said to be safe (pgconn.SafeToRetry), failures to connect, and the SQLSTATEs by which the
  server says that it rolled back; not a connection that ends without a word, and not a timeout. Their breakers stay open for 5 s instead of the documented minute.
* **PgBouncer** runs in transaction mode with its defaults, but for server_login_retry, which is 1 s instead of 15 s. Drivers prepare no statements behind it.

`

// write writes the tables as Markdown.
func (t *table) write(out *strings.Builder, e extent, command string) error {
	fmt.Fprintf(out, preface, callers, "PostgreSQL "+t.version, runtime.Version(), runtime.NumCPU(), "`"+command+"`", "`"+command+" ROW=commit-reply-lost`",
		e.recovery, subject.Connections, subject.AttemptTimeout, callDeadline, subject.Attempts, patience)
	for _, s := range []struct {
		title, text string
		cell        func(result) string
	}{
		{"What becomes of the work", "", result.cell},
		{"What the callers are told meanwhile", "Calls that said \"failed\" and whose work is not there, *f*; that said \"unknown\", *u*; reads that failed, *r*; calls that heeded no deadline and ended only when their connection was cut, *hung*; " +
			"what an asynchronous failover dropped after it was acknowledged, *dropped*, which is PostgreSQL's loss and everybody's. \"–\" is none of them.", result.told},
		{"Load during the fault", "Connections that were asked for, and statements that reached the server (or what stands before it), until the fault ended: the sum, and in how many seconds. Through TLS the statements cannot be seen.", result.load},
	} {
		fmt.Fprintf(out, "## %s\n\n", s.title)
		if s.text != "" {
			fmt.Fprintf(out, "%s\n\n", s.text)
		}
		if err := t.section(out, s.cell); err != nil {
			return err
		}
	}
	t.failures(out, command)
	return nil
}

// section writes one table with the cells that cell makes.
func (t *table) section(out *strings.Builder, cell func(result) string) error {
	columns := []string{"fault", "ROW="}
	for _, c := range t.candidates {
		columns = append(columns, c.Name)
	}
	table := figure.Table{Head: columns}
	group := ""
	for i, r := range t.rows {
		if r.group != group {
			group = r.group
			heading := make([]string, len(columns))
			heading[0] = "**" + group + "**"
			table.Add(heading...)
		}
		line := []string{r.title, "`" + r.name + "`"}
		for k := range t.candidates {
			line = append(line, cell(t.cells[i][k]))
		}
		table.Add(line...)
	}
	if _, err := table.WriteTo(out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

// failures lists where each subject has lost, doubled or wrongly reported something.
func (t *table) failures(out *strings.Builder, command string) {
	fmt.Fprintf(out, "## Where each fails\n\n")
	for k, c := range t.candidates {
		var all []string
		worst, most := "", 0
		for i, r := range t.rows {
			x := t.cells[i][k]
			if n := x.lost + x.doubled + x.wrong; n > 0 {
				all = append(all, "`"+r.name+"`")
				if n > most {
					worst, most = r.name, n
				}
			}
		}
		if most == 0 {
			fmt.Fprintf(out, "* **%s**: nowhere.\n", c.Name)
			continue
		}
		fmt.Fprintf(out, "* **%s**: %s. See it with `%s ROW=%s`.\n", c.Name, strings.Join(all, ", "), command, worst)
	}
}

// tell writes what callers were told, for a row that is run alone.
func (t *table) tell(out *strings.Builder) {
	for i, r := range t.rows {
		for k, c := range t.candidates {
			x := t.cells[i][k]
			fmt.Fprintf(out, "%s, %s: %s; %s\n", r.name, c.Name, x.cell(), x.told())
			for _, e := range x.examples {
				fmt.Fprintf(out, "    %s\n", e)
			}
		}
	}
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
	if r.safe > 0 {
		bad = append(bad, fmt.Sprintf("of them %d as safe to repeat", r.safe))
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

// told says what else the callers were told.
func (r result) told() string {
	var all []string
	for _, n := range []struct {
		n    int
		what string
	}{{r.failed, "f"}, {r.unknown, "u"}, {r.readsOff, "r"}, {r.hung, "hung"}, {r.dropped, "dropped"}} {
		if n.n > 0 {
			all = append(all, figure.Number(float64(n.n))+" "+n.what)
		}
	}
	if len(all) == 0 {
		return "–"
	}
	return strings.Join(all, ", ")
}

// load says what the server met.
func (r result) load() string {
	if r.notRun != "" {
		return ""
	}
	return fmt.Sprintf("%d + %d in %.1f", r.dialed, r.ran, r.lasted.Seconds())
}
