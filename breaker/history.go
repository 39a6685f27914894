package breaker

import "time"

// Transition counts the changes of a breaker from one state to another.
type Transition struct {
	From  State  `json:"from"`
	To    State  `json:"to"`
	Count uint64 `json:"count"`
}

// history counts what a look at the state misses: a breaker may open and close
// again between two looks. It is written under mu, only when a breaker changes.
type history struct {
	changes  [Open + 1][Open + 1]uint64 // from, to
	openedAt int64                      // of the opening that lasts
	open     int64                      // nanoseconds of the openings that are over
}

// add counts a change. A hold of a breaker that is in that state already is none.
func (h *history) add(from, to State, now int64) {
	if from == to {
		return
	}
	h.changes[from][to]++
	switch {
	case to == Open:
		h.openedAt = now
	case from == Open:
		h.open += max(now-h.openedAt, 0)
	}
}

// read returns the changes that happened, and the time in state open until now.
func (h *history) read(state State, now int64) ([]Transition, time.Duration) {
	var all []Transition
	for from := range h.changes {
		for to, n := range h.changes[from] {
			if n > 0 {
				all = append(all, Transition{From: State(from), To: State(to), Count: n})
			}
		}
	}
	open := h.open
	if state == Open {
		open += max(now-h.openedAt, 0)
	}
	return all, time.Duration(open)
}
