package breaker

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// model is a breaker by the consecutive rule, written down the plain way: with
// lists, with no generations, and with a permit that knows whether it still counts.
type model struct {
	t         *rapid.T
	b         *Breaker
	cfg       Config
	confirmed bool

	state    State
	held     Held
	run      int
	level    int
	closedAt time.Time
	due      time.Time
	lost     int
	good     int // successes in half-open
	rampFrom time.Time
	ramping  bool
	asked    bool
	askedAt  time.Time

	out       []*issued // every permit not yet reported
	successes uint64
	failures  uint64
	asks      int // of the model
	heard     int // of the breaker
	changes   int
	told      int
}

// issued is a permit of the breaker beside what the model knows of it.
type issued struct {
	permit Permit
	counts bool
	probe  bool
	inRamp bool
	ends   time.Time
}

func (m *model) places(kind func(*issued) bool) (n int) {
	for _, p := range m.out {
		if p.counts && kind(p) {
			n++
		}
	}
	return n
}

func isProbe(p *issued) bool { return p.probe }
func isRamp(p *issued) bool  { return p.inRamp }

func (m *model) enter(s State) {
	m.state = s
	m.changes++
	for _, p := range m.out {
		p.counts = false
	}
}

func (m *model) rampLimit() int {
	return (1 + m.cfg.SuccessThreshold) << min(8, int(time.Since(m.rampFrom)/(m.cfg.RampFor/8)))
}

func (m *model) open() {
	if m.state == Closed {
		for d := time.Since(m.closedAt); d >= m.cfg.MaxOpenFor && m.level > 0; d -= m.cfg.MaxOpenFor {
			m.level--
		}
	}
	want := m.cfg.OpenFor
	for range m.level {
		want = min(2*want, m.cfg.MaxOpenFor)
	}
	if want < m.cfg.MaxOpenFor {
		m.level++
	}
	m.enter(Open)
	m.due = m.b.NextProbe() // jittered: the model only checks its bounds
	if in := time.Until(m.due); in < want*3/4-1 || in > want {
		m.t.Fatalf("opened for %s, want 75 to 100 %% of %s", in, want)
	}
}

func (m *model) halfOpen() {
	m.good, m.lost = 0, 0
	m.enter(HalfOpen)
}

func (m *model) close(ramping bool) {
	m.closedAt, m.asked, m.run, m.ramping = time.Now(), false, 0, ramping
	if ramping {
		m.rampFrom, m.run = time.Now(), m.cfg.ConsecutiveFailures/2
	}
	m.enter(Closed)
}

func (m *model) probed() {
	if m.good++; m.good == m.cfg.SuccessThreshold {
		m.close(true)
	}
}

func (m *model) endRamp() {
	if m.ramping && time.Since(m.rampFrom) >= 8*(m.cfg.RampFor/8) {
		m.ramping = false
	}
}

func (m *model) wantAdmit() (ok bool, p *issued) {
	p = &issued{counts: true}
	if m.state == Open && m.held == NotHeld && !m.confirmed && !time.Now().Before(m.due) {
		m.halfOpen()
	}
	switch m.state {
	case Open:
		return false, nil
	case HalfOpen:
		p.probe = true
		if m.places(isProbe) > m.good {
			var first *issued
			for _, o := range m.out { // in the order of admission
				if o.counts && o.probe && !o.ends.After(time.Now()) && (first == nil || o.ends.Before(first.ends)) {
					first = o
				}
			}
			if first == nil {
				return false, nil
			}
			first.counts = false
			m.lost++
		}
		p.ends = time.Now().Add(m.cfg.ProbeLease << min(m.lost, maxLost))
	case Closed:
		m.endRamp()
		if m.ramping {
			p.inRamp = true
			return m.places(isRamp) < m.rampLimit(), p
		}
	}
	return true, p
}

func (m *model) admit(t *rapid.T) {
	want, p := m.wantAdmit()
	got, ok := m.b.Admit()
	if ok != want {
		t.Fatalf("Admit() = %v, want %v in state %s", ok, want, m.state)
	}
	if ok {
		p.permit = got
		m.out = append(m.out, p)
	}
}

func (m *model) report(t *rapid.T) {
	if len(m.out) == 0 {
		t.Skip("no permit is out")
	}
	i := rapid.IntRange(0, len(m.out)-1).Draw(t, "permit")
	p := m.out[i]
	m.out = slices.Delete(m.out, i, i+1)
	switch rapid.SampledFrom([]string{"success", "failure", "failure", "ignore"}).Draw(t, "outcome") {
	case "success":
		if p.counts {
			m.success()
		}
		p.permit.Success(0)
	case "failure":
		p.permit.Failure(0)
		if p.counts {
			m.failure()
		}
	default:
		p.permit.Ignore()
	}
}

func (m *model) success() {
	m.successes++
	switch m.state {
	case HalfOpen:
		m.probed()
	case Closed:
		m.endRamp()
		m.run = 0
	case Open:
	}
}

func (m *model) failure() {
	m.failures++
	if m.state == HalfOpen {
		m.open()
		return
	}
	m.endRamp()
	m.run++
	if m.run < m.cfg.ConsecutiveFailures || m.held != NotHeld {
		return
	}
	switch {
	case !m.confirmed:
		m.open()
	case !m.asked || time.Since(m.askedAt) >= suspectAgain:
		m.asks, m.asked, m.askedAt = m.asks+1, true, time.Now()
	}
}

func (m *model) owner(t *rapid.T) {
	free := m.held == NotHeld
	switch rapid.SampledFrom([]string{"trip", "acquit", "half-open", "probe succeeded"}).Draw(t, "owner") {
	case "trip":
		m.b.Trip("model")
		if free && m.state != Open {
			m.open()
		}
	case "acquit":
		m.b.Acquit()
		if m.asked = false; m.state == Closed {
			m.run = 0
		}
	case "half-open":
		m.b.HalfOpen()
		if free && m.state == Open {
			m.halfOpen()
		}
	default:
		m.b.ProbeSucceeded()
		if free && m.state == HalfOpen {
			m.probed()
		}
	}
}

func (m *model) person(t *rapid.T) {
	switch rapid.SampledFrom([]string{"hold open", "hold closed", "release", "release"}).Draw(t, "person") {
	case "hold open":
		m.b.HoldOpen("model")
		m.held = HeldOpen
		m.enter(Open)
	case "hold closed":
		m.b.HoldClosed("model")
		m.held = HeldClosed
		m.close(false)
	default:
		m.b.Release()
		was := m.held
		m.held = NotHeld
		switch was {
		case HeldOpen:
			m.due = time.Now()
			m.enter(Open)
		case HeldClosed:
			m.close(false)
		case NotHeld:
		}
	}
}

func (m *model) restart(t *rapid.T) {
	s := m.b.Snapshot()
	if err := m.b.Restore(s); err != nil {
		t.Fatalf("Restore(its own snapshot) = %v", err)
	}
	if m.state != Closed {
		m.due = time.Now()
		m.enter(Open)
		return
	}
	m.run = 0
}

func (m *model) check(t *rapid.T) {
	if got := m.b.State(); got != m.state {
		t.Fatalf("State() = %s, want %s", got, m.state)
	}
	if got := m.b.Held(); got != m.held {
		t.Fatalf("Held() = %s, want %s", got, m.held)
	}
	if m.b.Successes() != m.successes || m.b.Failures() != m.failures {
		t.Fatalf("counted %d successes and %d failures, want %d and %d",
			m.b.Successes(), m.b.Failures(), m.successes, m.failures)
	}
	if m.told != m.changes || m.heard != m.asks {
		t.Fatalf("hooks heard of %d changes and %d suspicions, want %d and %d", m.told, m.heard, m.changes, m.asks)
	}
}

// waitIsHonest checks that Wait names a moment at which Admit succeeds, and none before.
func (m *model) waitIsHonest(t *rapid.T) {
	_, at := m.b.Wait()
	if at.IsZero() {
		if m.state != Open || m.held == NotHeld && !m.confirmed {
			t.Fatalf("Wait() names no time in state %s", m.state)
		}
		return
	}
	if in := time.Until(at); in > 0 {
		forward(in - 1)
		if want, _ := m.wantAdmit(); want {
			t.Fatalf("a call may pass before the time that Wait names")
		}
		forward(1)
	}
	want, p := m.wantAdmit()
	got, ok := m.b.Admit()
	if !want || !ok {
		t.Fatalf("at the time that Wait named Admit() = %v, the model says %v", ok, want)
	}
	p.permit = got
	m.out = append(m.out, p)
}

// TestBreakerBehavesLikeItsModel drives breaker and model through the same calls, reports,
// owners, persons, restarts and stretches of fake time.
func TestBreakerBehavesLikeItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(t *rapid.T) {
			m := &model{t: t, confirmed: rapid.Bool().Draw(t, "confirmed"), closedAt: time.Now()}
			m.cfg = Config{
				Rule:                Consecutive,
				ConsecutiveFailures: rapid.IntRange(1, 4).Draw(t, "failures"),
				SuccessThreshold:    rapid.IntRange(1, 5).Draw(t, "threshold"),
				OpenFor:             time.Second,
				MaxOpenFor:          time.Duration(rapid.SampledFrom([]int{1, 4, 10}).Draw(t, "max")) * time.Second,
				ProbeLease:          time.Duration(rapid.SampledFrom([]int{1, 10}).Draw(t, "lease")) * time.Second,
				RampFor:             800 * time.Millisecond,
			}
			opts := Options{OnChange: func(Change) { m.told++ }}
			if m.confirmed {
				opts.OnSuspect = func(Evidence) { m.heard++ }
			}
			b, err := New(m.cfg, opts)
			if err != nil {
				t.Fatal(err)
			}
			m.b = b
			t.Repeat(map[string]func(*rapid.T){
				"":        m.check,
				"admit":   m.admit,
				"admit 2": m.admit,
				"admit 3": m.admit,
				"report":  m.report,
				"report2": m.report,
				"report3": m.report,
				"owner":   m.owner,
				"person":  m.person,
				"restart": m.restart,
				"wait":    m.waitIsHonest,
				"time": func(t *rapid.T) {
					forward(time.Duration(rapid.SampledFrom([]int{1, 100, 250, 1000, 3000, 11000}).Draw(t, "ms")) * time.Millisecond)
				},
			})
		}
		for range 20 { // 100 sequences each
			// The struct hides t.Deadline, which does not work in a bubble.
			rapid.Check(struct{ testing.TB }{t}, run)
		}
	})
}
