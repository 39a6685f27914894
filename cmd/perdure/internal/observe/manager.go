package observe

import (
	"maps"
	"time"

	"github.com/perdure/perdure"
)

// Manager is what is known of one Manager at one moment. It shares nothing with
// the Observer.
type Manager struct {
	perdure.Snapshot
	// Watched is since when it is.
	Watched time.Time
	// Changes are the last changes of breakers by operation, "database" for the database's. A breaker that did
	// not change since Watched has none.
	Changes map[string]Change
	// Rates are those of all operations in the last ten seconds.
	Rates Rates
	// History is one Point a second, oldest first, five minutes at most.
	History []Point
	// Recent are the rates of operations in the last ten seconds, Histories their seconds, oldest first; both
	// of the operations that were called last.
	Recent    map[string]Rates
	Histories map[string][]OperationPoint
	// Pool is nil if there is none.
	Pool *Pool
	// BudgetRefused is when the budget last could not pay, exact to a second; zero if it always could.
	BudgetRefused time.Time
	// Unknown are the last 50 commits whose outcome is unknown, oldest first.
	Unknown []Event
}

// now gathers what is known.
func (w *watched) now() Manager {
	m := Manager{
		Snapshot: w.source.Manager.Snapshot(),
		Watched:  w.begun,
		Recent:   map[string]Rates{}, Histories: map[string][]OperationPoint{},
	}
	m.Pool = w.pool()
	w.mu.Lock()
	defer w.mu.Unlock()
	m.Changes = maps.Clone(w.changes)
	m.Rates, m.History = w.history.recent(), w.history.copied()
	for name, o := range w.history.operations {
		m.Recent[name], m.Histories[name] = o.recent(), o.copied()
	}
	m.BudgetRefused = w.refused
	for i := range w.unknown {
		m.Unknown = append(m.Unknown, w.unknown[i].event())
	}
	return m
}
