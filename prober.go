package perdure

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/breaker"
)

const (
	// probeTimeout is how long a probe may take at least. It follows what good probes take, for a server that is
	// far away; while the breaker is open each probe that runs into it doubles it, since what is usual may
	// not be known yet.
	probeTimeout  = 500 * time.Millisecond
	probeLongest  = 4 * time.Second
	probePatience = 4 // times what a good probe takes
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

// maxRelapses bounds the doublings of the pause after a recovery that failed.
const maxRelapses = 8

var errNoProbe = errors.New("no probe is attached")

// prober decides about the database. Asked by evidence, by a silent connection
// or by a call that wants to park, it probes: if the database answers, the
// evidence is dismissed; if it does not, the breaker opens, and the prober goes
// on asking until the breaker has closed again. One goroutine at most, and it
// lives only as long as there is something to find out.
//
// Without a probe the evidence alone opens the breaker, and time half-opens it.
type prober struct {
	m    *Manager
	next atomic.Int64 // when an open breaker's database is asked next, on the Manager's clock; 0: not known

	mu       sync.Mutex // guards the fields below
	probe    Probe
	attached chan struct{} // closed while there is a probe
	running  bool
	asked    string            // why, if somebody asked since the last answer
	evidence *breaker.Evidence // that crossed the threshold, if that is why
	misses   int               // of the three tries, those that whoever asked has seen itself
	answered chan struct{}     // closed at the next answer; nil while nobody waits
	relapses int               // recoveries that failed since the breaker was last closed
	lastGood time.Duration
	usual    time.Duration // what good probes take; falls slowly
	patience time.Duration // at least, while the breaker is open
	last     ProbeSnapshot
}

// Suspect asks for a probe, because a connection has been silent for longer
// than is usual; that silence counts as the first of three misses. It does not
// block, and asking again before the answer changes nothing. Without a probe
// it does nothing.
func (m *Manager) Suspect(why string) { m.prober.ask(why, 1, nil) }

// suspect is the database breaker's hook: the evidence crossed the threshold.
func (r *prober) suspect(ev breaker.Evidence) {
	r.mu.Lock()
	probed := r.probe != nil
	r.evidence = &ev
	r.mu.Unlock()
	if !probed {
		r.m.database.breaker.Convict(ev)
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
	if r.m.database.breaker.State() == breaker.Closed {
		r.relapses = 0
	}
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
	r.asked, r.misses, r.evidence = "", 0, nil
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
	r.mu.Lock()
	ev := r.evidence
	r.mu.Unlock()
	if ev != nil {
		r.m.database.breaker.Convict(*ev)
		return
	}
	r.m.database.breaker.Trip(why)
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
		case <-r.m.open.Done():
		}
	}
	return r.m.database.breaker.State() != breaker.Closed
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
	if m.ended {
		return false
	}
	m.background.Go(f)
	return true
}
