package perdure

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// Probe asks the database whether it can serve: nil means that it can. It gets
// a context that ends after half a second, or after four times what good
// probes take (4 s at most), and must honour it.
type Probe func(ctx context.Context) error

// ProbeSnapshot tells of the prober of a Manager at one moment.
type ProbeSnapshot struct {
	Attached bool      // somebody asks the database; without a probe the evidence alone opens the breaker
	At       time.Time // of the last answer, or of the end of the wait for it; zero if there was none
	Failed   bool
	Error    string // what may be shown of the last answer: its category and SQLSTATE
	Misses   uint64 // probes that failed since the last one that did not
}

// SetProbe attaches the probe by which the Manager decides whether its
// database is there, until remove is called. A Manager has at most one at a
// time: a second one is an error.
func (m *Manager) SetProbe(p Probe) (remove func(), err error) {
	if p == nil {
		return nil, errors.New("perdure: SetProbe: the probe is nil")
	}
	r := &m.prober
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probe != nil {
		return nil, errors.New("perdure: the Manager has a probe already: one Manager guards one database")
	}
	r.probe = p
	close(r.attached)
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.probe = nil
		r.attached = make(chan struct{})
	}), nil
}

// try asks the database once.
func (r *prober) try(ctx context.Context) error {
	r.mu.Lock()
	probe := r.probe
	limit := min(max(probeTimeout, probePatience*r.usual, r.patience), probeLongest)
	r.mu.Unlock()
	if probe == nil {
		return errNoProbe
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := r.m.now()
	err := probe(ctx)
	took := r.m.now() - begun
	if err != nil && r.m.answered(err) {
		err = nil
	}
	last := ProbeSnapshot{At: time.Now(), Failed: err != nil}
	if err != nil {
		last.Error = errorClass(r.m, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		last.Misses = r.last.Misses + 1
	}
	r.last = last
	switch {
	case err == nil:
		r.lastGood = max(r.m.now(), 1)
		r.usual = max(took, r.usual-r.usual/8)
		r.patience = 0
	case took >= limit && r.m.database.breaker.State() == breaker.Open:
		r.patience = 2 * limit
	}
	return err
}

func (r *prober) snapshot() ProbeSnapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.last
	s.Attached = r.probe != nil
	return s
}

// answered reports whether a probe's error is an answer of a database that is
// there: no slot was free, or the password is wrong. That neither opens nor drains.
func (m *Manager) answered(err error) bool {
	v := m.Classify(err)
	return v.SQLState != "" && v.Trips != pgerr.ScopeDatabase
}

// errorClass is what may be logged of a probe's error: its category and
// SQLSTATE, never its text, which may hold names.
func errorClass(m *Manager, err error) string {
	v := m.Classify(err)
	if v.SQLState != "" {
		return v.Category.String() + " " + v.SQLState
	}
	return v.Category.String()
}
