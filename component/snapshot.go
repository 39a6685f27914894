package component

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Snapshot is a component at one moment, and the counts of its methods.
// Counts never fall while the Loader lives.
type Snapshot struct {
	Name    string        `json:"name"`
	Factory string        `json:"factory"`
	State   State         `json:"state"`
	Since   time.Time     `json:"since"` // it is in that state
	Err     error         `json:"-"`     // why it failed
	Needs   []string      `json:"needs,omitempty"`
	Hung    int           `json:"hung,omitempty"` // Starts and Stops that were abandoned and still run
	Methods []MethodCount `json:"methods,omitempty"`
}

// MethodCount is what is countable of one method.
type MethodCount struct {
	Name      string            `json:"name"`
	Running   int               `json:"running"`   // now, the abandoned ones not included
	Queued    int               `json:"queued"`    // that wait for a place now
	Abandoned int               `json:"abandoned"` // that nobody waits for any more and that still run
	Succeeded uint64            `json:"succeeded"`
	Failed    map[Reason]uint64 `json:"failed,omitempty"`
	Total     time.Duration     `json:"total_ns"`   // of all invocations
	Longest   time.Duration     `json:"longest_ns"` // of one
}

// Snapshot returns all components by name. It may be called at any time.
func (l *Loader) Snapshot() []Snapshot {
	var all []Snapshot
	for _, u := range l.units {
		all = append(all, u.snapshot())
	}
	slices.SortFunc(all, func(a, b Snapshot) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (u *unit) snapshot() Snapshot {
	u.mu.Lock()
	s := Snapshot{
		Name: u.name, Factory: u.factory.Name, State: u.state, Since: u.since, Err: u.err, Needs: slices.Clone(u.needs), Hung: u.hung,
	}
	u.mu.Unlock()
	for i := range u.factory.Methods {
		m := u.methods[u.factory.Methods[i].name]
		c := m.stats.read()
		c.Name = m.name
		c.Running, c.Queued, c.Abandoned = m.places.counts()
		s.Methods = append(s.Methods, c)
	}
	return s
}

// methodStats counts the invocations of one method.
type methodStats struct {
	mu      sync.Mutex // guards the fields below
	ends    [reasonCount]uint64
	total   time.Duration
	longest time.Duration
}

func (s *methodStats) add(reason Reason, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[reason]++
	s.total += took
	s.longest = max(s.longest, took)
}

func (s *methodStats) read() MethodCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := MethodCount{Succeeded: s.ends[reasonNone], Total: s.total, Longest: s.longest}
	for reason, n := range s.ends {
		if n > 0 && Reason(reason) != reasonNone {
			if c.Failed == nil {
				c.Failed = map[Reason]uint64{}
			}
			c.Failed[Reason(reason)] = n
		}
	}
	return c
}
