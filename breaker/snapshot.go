package breaker

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// SnapshotVersion is the version of the Snapshots that this package writes, and the only one it reads.
const SnapshotVersion = 1

// Snapshot is what a breaker knows: the part above Score survives a restart, the rest is for people.
type Snapshot struct {
	Version int    `json:"version"`
	State   State  `json:"state"`
	Held    Held   `json:"held,omitempty"`
	Reason  string `json:"reason,omitempty"` // of the last change
	// Level is how many times OpenFor has been doubled for the next opening.
	Level int `json:"level,omitempty"`
	// BaselineFailed of BaselineCalls weighted healthy calls failed; Healthy is the rate that the
	// adaptive rule takes for healthy. All are zero under another rule.
	BaselineFailed float64   `json:"baseline_failed,omitempty"`
	BaselineCalls  float64   `json:"baseline_calls,omitempty"`
	Healthy        float64   `json:"healthy,omitempty"`
	At             time.Time `json:"at"`

	Score     float64   `json:"score,omitempty"` // of the adaptive rule, at the last failure
	Threshold float64   `json:"threshold,omitempty"`
	Successes uint64    `json:"successes"`
	Failures  uint64    `json:"failures"`
	NextProbe time.Time `json:"next_probe,omitzero"`
	// Transitions counts the changes of state since New, those that never happened left out. OpenTime is the
	// time spent in state open since New, an opening that lasts included. Neither falls.
	Transitions []Transition  `json:"transitions,omitempty"`
	OpenTime    time.Duration `json:"open_time_ns,omitempty"`
}

// Snapshot returns what the breaker knows now.
func (b *Breaker) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{
		Version:   SnapshotVersion,
		State:     b.State(),
		Held:      b.held,
		Level:     int(b.level),
		At:        time.Now(),
		Successes: b.successes.Load(),
		Failures:  b.failures.Load(),
	}
	if b.trouble != nil {
		s.Reason = b.trouble.reason
		s.Transitions, s.OpenTime = b.trouble.history.read(s.State, b.now())
	}
	if b.cfg.Rule == Adaptive {
		c := &b.det.cusum
		s.BaselineFailed, s.BaselineCalls, s.Healthy = c.base.failed, c.base.calls, c.healthy
		s.Score, s.Threshold = c.score, c.limit
	}
	if s.State == Open && b.held == NotHeld {
		s.NextProbe = b.at(b.due)
	}
	return s
}

// Restore takes over the state, hold, doublings and baseline of a snapshot. A
// breaker that was open or half-open is open, and due to be probed at once; the
// time that has passed since fades the baseline. A snapshot that cannot be one is refused with
// all its faults joined, and changes nothing.
func (b *Breaker) Restore(s Snapshot) error {
	if err := s.Validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.unlock()
	now := b.now()
	from := b.State()
	b.level = 0
	for range s.Level {
		if b.openFor() < b.cfg.MaxOpenFor {
			b.level++
		}
	}
	if b.cfg.Rule == Adaptive && s.BaselineCalls > 0 {
		b.det.cusum.restore(s, now, float64(max(0, time.Since(s.At))))
	}
	reason := bounded(s.Reason)
	if reason == "" {
		reason = ReasonRestored
	}
	was := b.held
	b.held = s.Held
	switch {
	case s.State != Closed:
		b.due = now
		b.become(Open, false)
		b.changed(from, now, reason, Evidence{})
	case from != Closed || was != s.Held:
		b.close(now, reason, false)
	default:
		b.det.reset(b.cfg, now, b.successes.Load(), false)
	}
	return nil
}

// Validate returns everything that is wrong with a snapshot that Restore would refuse, joined, or nil.
func (s Snapshot) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.Version != SnapshotVersion {
		fault("version: %d is not %d", s.Version, SnapshotVersion)
	}
	if s.State > Open {
		fault("state: %d is not a state", s.State)
	}
	if s.Held > HeldClosed || s.Held == HeldOpen && s.State != Open || s.Held == HeldClosed && s.State != Closed {
		fault("held: %d does not go with state %s", s.Held, s.State)
	}
	if s.Level < 0 || s.Level > 64 {
		fault("level: %d is not between 0 and 64", s.Level)
	}
	if !(s.BaselineCalls >= 0 && s.BaselineCalls <= memoryCalls) {
		fault("baseline_calls: %v is not between 0 and %v", s.BaselineCalls, memoryCalls)
	}
	if !(s.BaselineFailed >= 0 && s.BaselineFailed <= s.BaselineCalls) {
		fault("baseline_failed: %v is not between 0 and baseline_calls", s.BaselineFailed)
	}
	if math.IsNaN(s.Healthy) || s.Healthy < 0 || s.Healthy > highestRate {
		fault("healthy: %v is not between 0 and %v", s.Healthy, highestRate)
	}
	return errors.Join(faults...)
}

// restore takes over a baseline that is ago nanoseconds old.
func (c *cusum) restore(s Snapshot, now int64, ago float64) {
	keep := math.Exp(-ago / memoryTime)
	c.base.calls = s.BaselineCalls*keep + priorCalls*(1-keep)
	c.base.failed = s.BaselineFailed*keep + priorFailed*(1-keep)
	c.base.at = now
	c.adopt(min(max(s.Healthy, lowestRate), highestRate))
}
