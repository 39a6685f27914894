package perdureaudit

import (
	"context"
	"errors"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/breaker"
)

// Hooks returns the hooks that a Manager is given, alone or by
// perdure.JoinHooks.
func (r *Recorder) Hooks() perdure.Hooks {
	return perdure.Hooks{CallEnd: r.callEnd, BreakerChange: r.breakerChange, CommitOutcome: r.commitOutcome}
}

// callEnd records a call that the Manager gave up.
func (r *Recorder) callEnd(_ context.Context, e perdure.CallEvent) {
	switch {
	case e.Reason.String() == "" || e.Reason == perdure.ReasonCanceled:
		return
	case e.Reason == perdure.ReasonBreakerOpen && e.Attempts == 0:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refused[e.Op]++ // a Manager has a bounded number of names
		return
	}
	rec := audit.Record{
		Kind: audit.KindGiveUp, Subject: e.Op, Action: e.Reason.String(), CorrelationID: e.CorrelationID,
		Fields: map[string]any{
			"attempts": e.Attempts, "elapsed_ms": milliseconds(e.Elapsed), "parked_ms": milliseconds(e.Parked),
			"category": e.Verdict.Category.String(), "severity": e.Verdict.Severity.String(), "effect": e.Verdict.Effect.String(),
		},
	}
	if e.Verdict.SQLState != "" {
		rec.Fields["sqlstate"] = e.Verdict.SQLState
	}
	err := e.Err
	if gaveUp, ok := errors.AsType[*perdure.Error](err); ok {
		err = gaveUp.Err // the rest of it is in the fields
	}
	if err != nil {
		rec.Text = r.cfg.Redactor.Error(err)
	}
	r.put(rec, e.Reason == perdure.ReasonOutcomeUnknown)
}

// breakerChange records that a breaker changed its state, or was held or released.
func (r *Recorder) breakerChange(e perdure.BreakerEvent) {
	c := e.Change
	rec := audit.Record{
		Time: c.At, Kind: audit.KindBreaker, Subject: e.Operation, Action: c.To.String(),
		Fields: map[string]any{"from": c.From.String(), "to": c.To.String(), "held": c.Held.String()},
	}
	switch {
	case c.Reason == breaker.ReasonReleased:
		rec.Kind, rec.Action = audit.KindHold, "release"
	case c.Held != breaker.NotHeld:
		rec.Kind, rec.Action = audit.KindHold, "hold-"+c.Held.String()
	}
	switch c.Reason {
	case breaker.ReasonThreshold, breaker.ReasonProbe, breaker.ReasonDue, breaker.ReasonProbed,
		breaker.ReasonRecovered, breaker.ReasonReleased, breaker.ReasonRestored:
		rec.Fields["reason"] = c.Reason
	default: // what a person said
		rec.Text = c.Reason
	}
	if c.Reason == breaker.ReasonThreshold {
		rec.Fields["score"], rec.Fields["threshold"], rec.Fields["baseline"] = c.Evidence.Score, c.Evidence.Threshold, c.Evidence.Baseline
	}
	if !c.NextProbe.IsZero() {
		rec.Fields["next_probe"] = c.NextProbe.UTC().Format(time.RFC3339Nano)
	}
	r.put(rec, true)
}

// commitOutcome records how a commit in doubt ended. That a Once ran its
// function is the ordinary course of things, and no outcome.
func (r *Recorder) commitOutcome(_ context.Context, e perdure.OutcomeEvent) {
	if e.Resolution == perdure.Run {
		return
	}
	rec := audit.Record{
		Kind: audit.KindOutcome, Subject: e.Op, Action: string(e.Resolution), CorrelationID: e.CorrelationID, Text: e.Evidence,
		Fields: map[string]any{"took_ms": milliseconds(e.Took)},
	}
	if e.Method != "" {
		rec.Fields["method"] = e.Method
	}
	if e.Key != "" {
		rec.Fields["key"] = e.Key
	}
	r.put(rec, e.Resolution != perdure.Remembered)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
