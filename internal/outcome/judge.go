package outcome

import (
	"context"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/adapter"
	"github.com/perdure/perdure/pgerr"
)

// Settle finds out what became of the COMMIT of q, tells the Manager, and judges
// the attempt: op is its operation, key that of a Once. v and err are what is
// known of the lost connection. It outlives ctx.
func (r *Resolver) Settle(ctx context.Context, m *perdure.Manager, q *Question, op, key string, v pgerr.Verdict, err error) (perdure.Judgement, error) {
	if v.Retry == pgerr.RetryNever || v.SQLState != "" && v.Category == pgerr.CategoryCanceled {
		v = adapter.LostVerdict()
	}
	method := "token"
	if q.Marker {
		method = "marker"
	}
	began := time.Now()
	ans := r.Resolve(ctx, q)
	id := m.CommitOutcome(ctx, perdure.OutcomeEvent{
		Op: op, Key: key, Resolution: ans.Resolution, Method: method, Evidence: ans.Evidence, Took: time.Since(began),
	})
	switch ans.Resolution { //nolint:exhaustive // a resolver answers no other
	case perdure.Committed:
		return perdure.Judgement{}, nil
	case perdure.Aborted:
		j := adapter.Safe(v)
		j.CorrelationID = id
		return j, &AbortedError{Err: err}
	}
	return perdure.Judgement{
		Verdict: v, Repeat: perdure.RepeatNever, Reason: perdure.ReasonOutcomeUnknown, Hint: ans.Hint, CorrelationID: id,
	}, &UnknownError{Evidence: ans.Evidence, Err: err}
}

// Unproven reports whether an ERROR that answered COMMIT leaves open what became
// of it: the connection to a foreign server was lost, whose part of the work may
// be committed, or the server says that it does not know (40003, 08007).
func Unproven(state string) bool {
	return len(state) == 5 && state[:2] == "08" || state == "40003"
}

// Foreign tells the Manager of such a COMMIT and judges it.
func Foreign(ctx context.Context, m *perdure.Manager, op, key, method string, v pgerr.Verdict, err error) (perdure.Judgement, error) {
	const evidence = "the server reported a connection that it lost at COMMIT: work on a foreign server may be committed, although it is rolled back here"
	id := m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: op, Key: key, Resolution: perdure.Undecided, Method: method, Evidence: evidence})
	return perdure.Judgement{
		Verdict: v, Repeat: perdure.RepeatNever, Reason: perdure.ReasonOutcomeUnknown, CorrelationID: id,
		Hint: "look whether the work is there, also on the foreign servers",
	}, &UnknownError{Evidence: evidence, Err: err}
}
