package main

import (
	"context"
	"sync"

	"github.com/perdure/perdure"
)

// meter counts what a Manager does, from its hooks.
type meter struct {
	mu sync.Mutex // guards the fields below
	r  runReport
}

func newMeter() *meter {
	return &meter{r: runReport{CommitsInDoubt: &doubts{}, ResolvedBy: map[string]int64{}}}
}

func (m *meter) hooks() perdure.Hooks {
	return perdure.Hooks{
		AttemptEnd: func(_ context.Context, e perdure.AttemptEvent) {
			m.do(func(r *runReport) {
				if e.Attempt > 1 {
					r.Retries++
				}
			})
		},
		CallEnd: func(_ context.Context, _ perdure.CallEvent) {
			m.do(func(r *runReport) { r.Calls++ })
		},
		Released: func(_ context.Context, e perdure.ParkEvent) {
			m.do(func(r *runReport) {
				r.Parked++
				r.ParkedSeconds += seconds(e.Waited)
			})
		},
		CommitOutcome: func(_ context.Context, e perdure.OutcomeEvent) { m.do(func(r *runReport) { r.resolve(e) }) },
	}
}

func (r *runReport) resolve(e perdure.OutcomeEvent) {
	switch e.Resolution {
	case perdure.Committed:
		r.CommitsInDoubt.Committed++
	case perdure.Aborted:
		r.CommitsInDoubt.Aborted++
	case perdure.Undecided:
		r.CommitsInDoubt.Unknown++
	case perdure.Remembered:
		r.Remembered++
		return
	default:
		return
	}
	r.ResolvedBy[e.Method]++
}

func (m *meter) do(f func(*runReport)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.r)
}

// copyTo adds the counts to a report.
func (m *meter) copyTo(r *runReport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Calls, r.Retries, r.Remembered = m.r.Calls, m.r.Retries, m.r.Remembered
	r.Parked, r.ParkedSeconds = m.r.Parked, m.r.ParkedSeconds
	r.CommitsInDoubt, r.ResolvedBy = m.r.CommitsInDoubt, m.r.ResolvedBy
}
