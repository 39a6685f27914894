// Package guard puts perdure and its peers behind one interface, each set up
// as its own documentation advises; the comment on each says where.
//
// What all have in common, so that like is compared with like: three attempts;
// the breaker inside the retry, so that it sees every attempt; an open breaker
// is not retried; the caller's context goes to the work; the guard is made once
// and used by all goroutines.
package guard

import (
	"context"
	"errors"
	"time"
)

// Work is what is guarded.
type Work func(ctx context.Context) error

// Guard runs work under a policy. It is safe for concurrent use.
type Guard interface {
	Do(ctx context.Context, work Work) error
}

// Settings are what a comparison asks of every guard. A guard without a part
// (a retry library has no breaker) leaves the setting out.
type Settings struct {
	// Delay is the first delay before a repeat; the following ones grow, with jitter. Zero means none at all.
	Delay time.Duration
	// MaxDelay caps the delays. Zero means 20s.
	MaxDelay time.Duration
	// Open makes a breaker that is open and stays so.
	Open bool
	// Tolerant makes a breaker that failures do not open. perdure's needs nothing for it if the failures are a
	// conflict of transactions (40001), which is an answer of a server that works.
	Tolerant bool
	// NoBreaker leaves perdure's breakers out.
	NoBreaker bool
	// Once lets perdure try only once.
	Once bool
	// Limit bounds each attempt of perdure's. Zero means no limit.
	Limit time.Duration
}

const (
	// Attempts is how often a call is tried.
	Attempts = 3

	defaultMaxDelay = 20 * time.Second
	// farOff is longer than any measurement.
	farOff = 24 * time.Hour
)

func (s Settings) maxDelay() time.Duration {
	if s.MaxDelay > 0 {
		return s.MaxDelay
	}
	return defaultMaxDelay
}

// Candidate is one way to guard work.
type Candidate struct {
	// Name is that of the row in the tables.
	Name string
	// HasBreaker says that Settings.Open makes it refuse.
	HasBreaker bool
	// Retries says that it tries Attempts times.
	Retries bool
	// New makes the guard; close ends what runs beside it.
	New func(ctx context.Context, s Settings) (g Guard, closed func() error, err error)
}

// Bare is the floor: the work alone, called as the others are.
type Bare struct{}

// Do calls work.
func (Bare) Do(ctx context.Context, work Work) error { return work(ctx) }

func nothing() error { return nil }

// errOpening is the failure by which a breaker that cannot be told to open is opened.
var errOpening = errors.New("opening the breaker") //nolint:gochecknoglobals // a sentinel

// Candidates returns all of them, the floor first and perdure second.
func Candidates() []Candidate {
	return []Candidate{
		{Name: "bare call", New: newBare},
		{Name: "perdure", HasBreaker: true, Retries: true, New: newPerdure},
		{Name: "perdure, metrics scraped", HasBreaker: true, Retries: true, New: newScraped},
		{Name: "perdure, OpenTelemetry metrics", HasBreaker: true, Retries: true, New: newObserved},
		{Name: "failsafe-go", HasBreaker: true, Retries: true, New: newFailsafe},
		{Name: "backoff + gobreaker", HasBreaker: true, Retries: true, New: newComposed},
		{Name: "backoff + gobreaker, honours contexts", HasBreaker: true, Retries: true, New: newHonouring},
		{Name: "retry-go alone, context kept", Retries: true, New: newRetryContext},
		{Name: "retry-go alone, reused, no context", Retries: true, New: newRetryReused},
	}
}
