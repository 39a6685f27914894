package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

const (
	maxCalm = 40
	// notable is the share of its threshold from which evidence is worth a place among those in trouble.
	notable       = 0.1
	maxOperations = 40
	maxEvents     = 100
)

// Build makes the view of what is known at a moment. It is pure.
func Build(managers []observe.Manager, stories []observe.Story, lastEvent uint64, at time.Time, version string) View {
	v := View{At: at, LastEvent: lastEvent, Version: version}
	for i := range managers {
		d := database(&managers[i], at)
		v.Databases = append(v.Databases, d)
		v.Level = max(v.Level, d.Level)
	}
	if v.Several() { // the command then has to be told which
		for i := range v.Databases {
			for j, p := range v.Databases[i].Todo {
				if p.Code != "" {
					v.Databases[i].Todo[j].Code += " --manager " + v.Databases[i].Name
				}
			}
		}
	}
	slices.SortStableFunc(v.Databases, func(a, b Database) int { return cmp.Compare(rank(b.Level), rank(a.Level)) })
	v.Headline = headline(v.Databases, v.Level)
	for _, s := range slices.Backward(stories) {
		if len(v.Events) == maxEvents {
			break
		}
		v.Events = append(v.Events, Event{Story: s, Icon: eventIcon(s.Event)})
	}
	return v
}

// rank is a level, without the differences that do not matter enough to change
// the order of a page.
func rank(l Level) Level {
	if l < Degraded {
		return Healthy
	}
	return l
}

// headline is one sentence for several databases.
func headline(all []Database, worst Level) string {
	var names []string
	for _, d := range all {
		if d.Level == worst {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	who, does, is := names[0], "does", "is"
	if n := len(names) - 1; n > 0 {
		who, does, is = strings.Join(names[:n], ", ")+" and "+names[n], "do", "are"
	}
	switch worst {
	case Idle, Healthy:
		return "All is well with all databases"
	case Recovering:
		return who + " " + is + " recovering"
	case Degraded:
		return "Calls of " + who + " suffer"
	case Held:
		return who + " " + is + " held by a person"
	case Unknown:
		return "Commits of " + who + " must be looked at"
	case Down:
	}
	return who + " " + does + " not answer"
}

func eventIcon(e observe.Event) string {
	switch e.Severity {
	case observe.Good:
		return "healthy"
	case observe.Warning:
		return "degraded"
	case observe.Critical:
		if e.Kind == observe.KindBreaker || e.Kind == observe.KindRun {
			return "down"
		}
		return "unknown"
	case observe.Info:
	}
	return "idle"
}

func database(m *observe.Manager, at time.Time) Database {
	d := judge(m, at)
	d.Timeline = timeline(m.History, at)
	d.Cards = cards(m, at)
	n, _ := unknownCommits(m, at)
	d.UnknownMore = n - min(n, uint64(len(m.Unknown)))
	for _, e := range slices.Backward(m.Unknown) {
		d.Unknown = append(d.Unknown, UnknownCommit{At: e.At, Operation: e.Operation, CorrelationID: e.CorrelationID})
	}
	d.breakers(m, at)
	d.operations(m, at)
	return d
}

// breakers lists the database's, then the others, those in trouble first.
func (d *Database) breakers(m *observe.Manager, at time.Time) {
	d.Breakers = []Breaker{breakerRow(m, databaseName, &m.Database, at)}
	rows := slices.DeleteFunc(slices.Clone(m.Operations), func(o perdure.OperationSnapshot) bool { return o.Breaker == nil })
	slices.SortStableFunc(rows, func(a, b perdure.OperationSnapshot) int {
		return cmp.Or(
			cmp.Compare(b.Breaker.State, a.Breaker.State),
			cmp.Compare(b.Breaker.Held, a.Breaker.Held),
			cmp.Compare(share(b.Breaker.Score, b.Breaker.Threshold), share(a.Breaker.Score, a.Breaker.Threshold)),
			strings.Compare(a.Name, b.Name),
		)
	})
	for _, o := range rows {
		row := breakerRow(m, o.Name, o.Breaker, at)
		switch {
		case o.Breaker.State != breaker.Closed || o.Breaker.Held != breaker.NotHeld || share(o.Breaker.Score, o.Breaker.Threshold) >= notable:
			d.Breakers = append(d.Breakers, row)
		case len(d.Calm) < maxCalm:
			d.Calm = append(d.Calm, row)
		default:
			d.MoreBreakers++
		}
	}
}

func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(1, max(0, part/whole))
}

// operations lists those in trouble first, then those called most.
func (d *Database) operations(m *observe.Manager, at time.Time) {
	rows := slices.Clone(m.Operations)
	state := func(o *perdure.OperationSnapshot) breaker.State {
		if o.Breaker == nil {
			return breaker.Closed
		}
		return o.Breaker.State
	}
	slices.SortStableFunc(rows, func(a, b perdure.OperationSnapshot) int {
		return cmp.Or(cmp.Compare(state(&b), state(&a)), strings.Compare(a.Name, b.Name))
	})
	if len(rows) > maxOperations { // by name they keep their places; but of many, those that work
		slices.SortStableFunc(rows, func(a, b perdure.OperationSnapshot) int {
			return cmp.Or(cmp.Compare(state(&b), state(&a)), cmp.Compare(m.Recent[b.Name].Calls, m.Recent[a.Name].Calls))
		})
		d.MoreOperations = len(rows) - maxOperations
		rows = rows[:maxOperations]
	}
	for i := range rows {
		d.Operations = append(d.Operations, operationRow(m, &rows[i], at))
	}
}
