package perdure

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// Probe asks the database whether it can serve: nil means that it can. It gets
// a context that ends after half a second, and must honour it.
type Probe func(ctx context.Context) error

const (
	probeTimeout  = 500 * time.Millisecond
	probeTries    = 3
	probePause    = 50 * time.Millisecond  // between the tries that decide whether to open
	probeInterval = 250 * time.Millisecond // while open; and this much again at random
	provingPause  = 50 * time.Millisecond  // between the good probes of a half-open breaker
	// probeQuiet is how soon after a good probe another may be asked for.
	probeQuiet = 100 * time.Millisecond
)

// The reasons for which a probe is asked.
const (
	whyEvidence = "evidence crossed the threshold"
	whyParking  = "a parking call lost its connection"
)

var errNoProbe = errors.New("no probe is attached")

// prober decides about the database. Asked by evidence, by a silent connection
// or by a call that wants to park, it probes: if the database answers, the
// evidence is dismissed; if it does not, the breaker opens, and the prober goes
// on asking until the breaker has closed again. One goroutine at most, and it
// lives only as long as there is something to find out.
//
// Without a probe the evidence alone opens the breaker, and time half-opens it.
type prober struct {
	m *Manager

	attached chan struct{} // closed when there is a probe

	mu       sync.Mutex // guards the fields below
	probe    Probe
	running  bool
	asked    string        // why, if somebody asked since the last answer
	misses   int           // of the three tries, those that whoever asked has seen itself
	answered chan struct{} // closed at the next answer; nil while nobody waits
	lastGood time.Duration
	lastErr  error
}

// SetProbe attaches the probe by which the Manager decides whether its
// database is there. A Manager has at most one: a second call is an error.
func (m *Manager) SetProbe(p Probe) error {
	if p == nil {
		return errors.New("perdure: SetProbe: the probe is nil")
	}
	r := &m.prober
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probe != nil {
		return errors.New("perdure: the Manager has a probe already: one Manager guards one database")
	}
	r.probe = p
	close(r.attached)
	return nil
}

// Suspect asks for a probe, because a connection has been silent for longer
// than is usual; that silence counts as the first of three misses. It does not
// block, and asking again before the answer changes nothing. Without a probe
// it does nothing.
func (m *Manager) Suspect(why string) { m.prober.ask(why, 1, nil) }

// suspect is the database breaker's hook: the evidence crossed the threshold.
func (r *prober) suspect(breaker.Evidence) {
	r.mu.Lock()
	probed := r.probe != nil
	r.mu.Unlock()
	if !probed {
		r.m.database.breaker.Trip(breaker.ReasonThreshold)
		return
	}
	r.ask(whyEvidence, 0, nil)
}

// ask asks for a probe. If answer is not nil, it is given a channel that is
// closed at the answer; it stays untouched if no probe is attached.
func (r *prober) ask(why string, misses int, answer *<-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probe == nil {
		return
	}
	if answer != nil {
		if r.answered == nil {
			r.answered = make(chan struct{})
		}
		*answer = r.answered
	}
	if r.asked == "" {
		r.asked, r.misses = why, misses
	}
	r.start()
}

// start is called under mu.
func (r *prober) start() {
	if !r.running && r.m.goBackground(r.run) {
		r.running = true
	}
}

// recover makes the prober look after a breaker that is not closed.
func (r *prober) recover() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.start()
}

// run probes until nothing is left to find out.
func (r *prober) run() {
	ctx := r.m.life
	for {
		switch r.m.database.breaker.State() {
		case breaker.Closed:
			why, misses, more := r.question()
			if !more {
				return
			}
			if why != "" {
				r.confirm(ctx, why, misses)
				r.answer()
			}
		case breaker.Open:
			r.answer()
			r.reopen(ctx)
		case breaker.HalfOpen:
			r.answer()
			r.prove(ctx)
		}
		if ctx.Err() != nil {
			r.stop()
			return
		}
	}
}

// question returns why a probe is asked for. If none is, and the breaker is
// still closed (whoever opens it takes mu next, to start the prober), the
// prober ends: more is false.
func (r *prober) question() (why string, misses int, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == "" && r.m.database.breaker.State() == breaker.Closed {
		r.running = false
		return "", 0, false
	}
	return r.asked, r.misses, true
}

// answer lets go whoever waits for the answer.
func (r *prober) answer() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked, r.misses = "", 0
	if r.answered != nil {
		close(r.answered)
		r.answered = nil
	}
}

func (r *prober) stop() {
	r.answer()
	r.mu.Lock()
	r.running = false
	r.mu.Unlock()
}

// confirm tries up to three times and opens the breaker if no try succeeds. A
// refusal comes at once, so the tries are spread a little; a try that ran into
// its timeout has waited enough.
func (r *prober) confirm(ctx context.Context, why string, misses int) {
	r.mu.Lock()
	quiet := probeQuiet - (r.m.now() - r.lastGood)
	if r.lastGood == 0 {
		quiet = 0
	}
	r.mu.Unlock()
	if !pause(ctx, quiet) {
		return
	}
	var err error
	for try := misses; try < probeTries; try++ {
		begun := r.m.now()
		if err = r.try(ctx); err == nil {
			r.m.database.breaker.Acquit()
			return
		}
		if !pause(ctx, probePause-(r.m.now()-begun)) {
			return
		}
	}
	r.m.cfg.Logger.WarnContext(ctx, "database does not answer: breaker opens",
		slog.String("manager", r.m.cfg.Name), slog.String("why", why), slog.String("probe", errorClass(r.m, err)))
	r.m.database.breaker.Trip(why)
}

// reopen probes an open breaker's database until it answers, or somebody else
// has changed the breaker.
func (r *prober) reopen(ctx context.Context) {
	b := r.m.database.breaker
	for b.State() == breaker.Open {
		if b.Held() != breaker.NotHeld {
			if changed, _ := b.Wait(); b.Held() != breaker.NotHeld && !wait(ctx, changed) {
				return
			}
			continue
		}
		err := r.try(ctx)
		switch {
		case err == nil:
			b.HalfOpen()
			return
		case errors.Is(err, errNoProbe):
			timer := time.NewTimer(max(time.Until(b.NextProbe()), 0))
			select {
			case <-timer.C:
				b.HalfOpen()
				return
			case <-r.attached: // a probe decides instead of time
				timer.Stop()
				continue
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
		r.m.database.epoch.Add(1)                             // the time of the next probe has changed
		if !pause(ctx, probeInterval+rand.N(probeInterval)) { //nolint:gosec // jitter is no secret
			return
		}
	}
}

// prove goes on probing a half-open breaker, so that slow calls do not keep it
// from closing.
func (r *prober) prove(ctx context.Context) {
	b := r.m.database.breaker
	changed, _ := b.Wait()
	if b.State() != breaker.HalfOpen {
		return
	}
	err := r.try(ctx)
	switch {
	case err == nil:
		b.ProbeSucceeded()
		pause(ctx, provingPause)
	case errors.Is(err, errNoProbe):
		select {
		case <-changed:
		case <-r.attached:
		case <-ctx.Done():
		}
	case ctx.Err() == nil:
		b.Trip(breaker.ReasonProbe)
	}
}

// try asks the database once.
func (r *prober) try(ctx context.Context) error {
	r.mu.Lock()
	probe := r.probe
	r.mu.Unlock()
	if probe == nil {
		return errNoProbe
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := probe(ctx)
	if err != nil && r.m.answered(err) {
		err = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastErr = err
	if err == nil {
		r.lastGood = max(r.m.now(), 1)
	}
	return err
}

// answered reports whether a probe's error is an answer of a database that is
// there: no slot was free, or the password is wrong. That neither opens nor drains.
func (m *Manager) answered(err error) bool {
	v := m.Classify(err)
	return v.SQLState != "" && v.Trips != pgerr.ScopeDatabase
}

// down asks the prober and waits for its answer. It reports whether the
// database's breaker is not closed afterwards; false if no probe is attached.
func (r *prober) down(ctx context.Context) bool {
	var answer <-chan struct{}
	if r.m.database.breaker.State() == breaker.Closed {
		r.ask(whyParking, 0, &answer)
		if answer == nil {
			return false
		}
		select {
		case <-answer:
		case <-ctx.Done():
		case <-r.m.life.Done():
		}
	}
	return r.m.database.breaker.State() != breaker.Closed
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

// pause waits for d and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait waits for c and reports whether ctx still goes on.
func wait(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// goBackground starts f as a goroutine that Close waits for; false if the
// Manager is closed.
func (m *Manager) goBackground(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing.Load() {
		return false
	}
	m.background.Go(f)
	return true
}

// databaseChanged follows the database's breaker: whoever waits for good news
// gets it, and a breaker that is not closed is looked after.
func (m *Manager) databaseChanged(c breaker.Change) {
	m.mu.Lock()
	isUp := !isOpen(m.up)
	if up := c.To != breaker.Open; up != isUp {
		if up {
			close(m.up)
		} else {
			m.up = make(chan struct{})
		}
	}
	m.mu.Unlock()
	if c.To != breaker.Closed {
		m.prober.recover()
	}
}

func isOpen(c <-chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

// DatabaseUp returns a channel that is closed as soon as the database's
// breaker is not open: good news for whoever waits to ask it something.
func (m *Manager) DatabaseUp() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.up
}
