package dashboard

import (
	"fmt"
	"strings"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

const (
	// unknownFor is how long a commit of unknown outcome is what the page begins with; it stays listed below.
	unknownFor = time.Hour
	// spentFor is how long the page says that the budget could not pay.
	spentFor = 10 * time.Second
	// settling is how long after a recovery calls that still wait belong to it.
	settling = 30 * time.Second
	// ramping is how long after it closed a breaker lets through ever more calls.
	ramping = 2 * time.Second
	// failing is the share of the calls of failingFor that fail from which that is news, given at least failingCalls.
	failing      = 0.05
	failingCalls = 20
	failingFor   = 10 * time.Second
)

const databaseName = "database"

// judge finds the level of a database and the sentences that explain it. What
// is worst comes first.
func judge(m *observe.Manager, at time.Time) (d Database) {
	d.Name, d.Anchor = m.Name, "db-"+m.Name
	unknown, recently := unknownCommits(m, at)
	switch db := m.Database; {
	case db.Held == breaker.HeldOpen:
		d.held(m, "Held open by a person: no call passes")
	case db.State == breaker.Open:
		d.down(m, at, unknown)
	case recently:
		d.unknown(m, unknown)
	case db.State == breaker.HalfOpen || settles(m, at):
		d.recovering(m)
	case db.Held == breaker.HeldClosed:
		d.held(m, "Held closed by a person: every call passes, whatever fails")
	default:
		d.calm(m, at)
	}
	return d
}

// unknownCommits counts them, and says whether one is new enough to be what
// matters most.
func unknownCommits(m *observe.Manager, at time.Time) (n uint64, recently bool) {
	for _, o := range m.Outcomes {
		if o.Resolution == perdure.Undecided {
			n += o.Count
		}
	}
	if len(m.Unknown) == 0 {
		return n, false
	}
	return n, at.Sub(m.Unknown[len(m.Unknown)-1].At) < unknownFor
}

// settles reports whether the database is back and calls are being let in.
func settles(m *observe.Manager, at time.Time) bool {
	c, ok := m.Changes[databaseName]
	if !ok || c.To != breaker.Closed || c.Reason != breaker.ReasonRecovered {
		return false
	}
	since := at.Sub(c.At)
	return since < ramping || m.Parked > 0 && since < settling
}

func (d *Database) down(m *observe.Manager, at time.Time, unknown uint64) {
	d.Level, d.Headline = Down, "The database does not answer"
	d.Why = append(since(m, databaseName, at), text(probeText(m)+" ")...)
	if m.Parked > 0 {
		d.Why = append(d.Why, text(count(m.Parked, "call waits and will go on by itself", "calls wait and will go on by themselves")+". ")...)
	} else {
		d.Why = append(d.Why, text("No call waits. ")...)
	}
	if m.Rates.Failed >= 0.05 {
		d.Why = append(d.Why, text(rate(m.Rates.Failed)+" a second, whose policy does not let them wait, fail at once. ")...)
	}
	if next := m.Database.NextProbe; !next.IsZero() {
		d.Why = append(d.Why, text("Next probe "+in(next.Sub(at))+". ")...)
	}
	if unknown == 0 {
		d.Why = append(d.Why, text("Nothing is lost.")...)
	} else {
		d.Why = append(d.Why, text(count(int(unknown), "commit is", "commits are")+" of unknown outcome: see below.")...) //nolint:gosec // a count of commits
	}
	d.Todo = text("Look at the server: does it run, and can this machine reach it? perdure asks it a few times a second and goes on by itself when it answers; nothing here has to be restarted.")
}

// since is "Since 14:02:11 (12 s): ".
func since(m *observe.Manager, name string, at time.Time) []Phrase {
	c, ok := m.Changes[name]
	if !ok || c.Since.IsZero() {
		return []Phrase{{Text: "Since before "}, {At: m.Watched}, {Text: ", when this page began to watch: "}}
	}
	return []Phrase{{Text: "Since "}, {At: c.Since}, {Text: " (" + observe.Duration(at.Sub(c.Since)) + "): "}}
}

// probeText says what the probes saw.
func probeText(m *observe.Manager) string {
	p := m.Probe
	switch {
	case !p.Attached:
		return "too many calls fail (" + m.Database.Reason + "); nothing probes this database, so time alone decides."
	case !p.Failed:
		return m.Database.Reason + "."
	case p.Misses > 1:
		return fmt.Sprintf("%s, %s probes failed.", probeError(p.Error), observe.Thousands(p.Misses))
	}
	return probeError(p.Error) + ", a probe failed."
}

// probeError turns "category SQLSTATE" into words.
func probeError(s string) string {
	category, state, _ := strings.Cut(s, " ")
	if state != "" {
		return observe.Condition(0, state)
	}
	switch category {
	case "connection":
		return "no connection can be made"
	case "timeout":
		return "no answer within half a second"
	case "":
		return "no answer"
	}
	return category
}

func (d *Database) held(m *observe.Manager, headline string) {
	d.Level, d.Headline = Held, headline
	if c, ok := m.Changes[databaseName]; ok {
		d.Why = []Phrase{{Text: "Since "}, {At: c.At}}
		if c.Reason != "" {
			d.Why = append(d.Why, Phrase{Text: ": “" + c.Reason + "”"})
		}
		d.Why = append(d.Why, Phrase{Text: ". "})
	}
	if m.Parked > 0 {
		d.Why = append(d.Why, text(count(m.Parked, "call waits", "calls wait")+" until then.")...)
	}
	d.Todo = []Phrase{{Text: "When the reason is gone, release it: "}, {Code: "perdure breakers release database"}}
}

func (d *Database) unknown(m *observe.Manager, n uint64) {
	d.Level = Unknown
	d.Headline = "It cannot be known whether a commit happened"
	if n > 1 {
		d.Headline = "It cannot be known whether " + observe.Thousands(n) + " commits happened"
	}
	d.Why = []Phrase{{Text: "The last one ended at "}, {At: m.Unknown[len(m.Unknown)-1].At}, {
		Text: ". The server lost what would prove it: perdure does not guess, and did not do the work again. Their callers were told. Calls pass.",
	}}
	d.Todo = text("For each one below: look whether its work is there before anybody does it again. Its correlation ID is in the caller's error, the logs and the audit trail.")
}

func (d *Database) recovering(m *observe.Manager) {
	d.Level, d.Headline = Recovering, "The database answers again"
	c, ok := m.Changes[databaseName]
	if m.Database.State == breaker.HalfOpen {
		d.Why = text("A probe succeeded, and a few calls are let through to try. ")
	} else {
		d.Why = text("Calls are let in step by step, so that they do not bring it down again. ")
	}
	if ok && !c.Since.IsZero() {
		d.Why = append(d.Why, Phrase{Text: "It had not answered since "}, Phrase{At: c.Since}, Phrase{Text: ". "})
	}
	if m.Parked > 0 {
		d.Why = append(d.Why, text(count(m.Parked, "call still waits", "calls still wait")+".")...)
	}
	d.Todo = text("Nothing: this takes a few seconds. If it falls back, it is asked less often each time.")
}

// calm is for a database that answers: is anything else wrong?
func (d *Database) calm(m *observe.Manager, at time.Time) {
	open, halfOpen, heldOnes := troubled(m)
	r := m.Rates
	// What failed while the database was away says nothing of now.
	var back time.Time
	if c, ok := m.Changes[databaseName]; ok && c.To == breaker.Closed {
		back = c.At
	}
	switch {
	case len(open)+len(halfOpen) > 0:
		d.Level = Degraded
		d.Headline = "The database answers, but " + operations(append(open, halfOpen...)) + " fails"
		if len(open)+len(halfOpen) > 1 {
			d.Headline = strings.TrimSuffix(d.Headline, "s") // "fail"
		}
		d.Why = text("Too many of its calls fail, so its own breaker is open; other operations are not touched. ")
		d.Todo = text("Look at that operation: its statement, its locks, its timeouts. The events tell how it fails.")
	case m.BudgetRefused.After(back.Add(2*time.Second)) && at.Sub(m.BudgetRefused) < spentFor:
		d.Level, d.Headline = Degraded, "Too much fails for repeats to help"
		d.Why = []Phrase{
			{Text: "The retry budget is spent: at "},
			{At: m.BudgetRefused},
			{Text: " a repeat was refused, so that repeats do not keep a server in trouble down. " + failedText(r)},
		}
		d.Todo = text("Look at the first errors in the events: they are the cause, repeats only hide them.")
	case at.Sub(back) > failingFor && r.Calls*failingFor.Seconds() >= failingCalls && r.Failed >= failing*r.Calls:
		d.Level, d.Headline = Degraded, "The database answers, but calls fail"
		d.Why = text(failedText(r) + "No breaker is open: the database itself is well.")
		d.Todo = text("Look at the operations that fail most, below, and at how they fail in the events.")
	case len(heldOnes) > 0:
		d.Level, d.Headline = Held, "All is well, but a person holds "+operations(heldOnes)
		d.Why = text("A breaker that is held does not decide by itself. ")
		d.Todo = []Phrase{{Text: "When the reason is gone, release it: "}, {Code: "perdure breakers release " + heldOnes[0]}}
	case m.Database.Held == breaker.NotHeld && len(m.Operations) == 0:
		d.Level, d.Headline = Idle, "No calls yet"
		d.Why = text("The program has not asked anything of this database through perdure.")
	default:
		d.Level, d.Headline = Healthy, "All is well"
		d.Why = wellSince(m, at)
	}
}

func failedText(r observe.Rates) string {
	if r.Calls == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %% of the calls of the last ten seconds failed. ", 100*min(1, r.Failed/r.Calls))
}

func wellSince(m *observe.Manager, at time.Time) []Phrase {
	out := text("The database answers and every breaker is closed. ")
	if c, ok := m.Changes[databaseName]; ok && c.To == breaker.Closed {
		return append(out, Phrase{Text: "It was last away until "}, Phrase{At: c.At}, Phrase{Text: " (" + observe.Duration(at.Sub(c.At)) + " ago)."})
	}
	return append(out, Phrase{Text: "It was never away since "}, Phrase{At: m.Watched}, Phrase{Text: ", when this page began to watch."})
}

// troubled returns the operations whose breakers are not closed, and those that
// are held closed.
func troubled(m *observe.Manager) (open, halfOpen, held []string) {
	for _, o := range m.Operations {
		switch b := o.Breaker; {
		case b == nil:
		case b.Held != breaker.NotHeld:
			held = append(held, o.Name)
		case b.State == breaker.Open:
			open = append(open, o.Name)
		case b.State == breaker.HalfOpen:
			halfOpen = append(halfOpen, o.Name)
		}
	}
	return open, halfOpen, held
}

// operations names one, two, or counts more.
func operations(names []string) string {
	switch len(names) {
	case 1:
		return names[0]
	case 2:
		return names[0] + " and " + names[1]
	}
	return fmt.Sprintf("%d operations", len(names))
}

func text(s string) []Phrase { return []Phrase{{Text: s}} }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return observe.Thousands(uint64(max(n, 0))) + " " + many
}

// in is "in 0.3 s", or "now".
func in(d time.Duration) string {
	if d < 50*time.Millisecond {
		return "now"
	}
	if d < time.Second {
		return fmt.Sprintf("in %.1f s", d.Seconds())
	}
	return "in " + observe.Duration(d)
}
