package component

import (
	"context"
	"strconv"
	"time"

	"github.com/perdure/perdure"
)

// retryOperations is the output of the method operations.
type retryOperations struct {
	Manager    string           `json:"manager"`
	Operations []retryOperation `json:"operations"`
}

// retryOperation is what the component "retry" says of one operation. See
// perdure.OperationSnapshot.
type retryOperation struct {
	Name        string            `json:"name"`
	Succeeded   uint64            `json:"succeeded"`
	Failed      map[string]uint64 `json:"failed,omitempty" jsonschema:"calls by why they failed; untouched are those whose error came back as it was"`
	Rejected    uint64            `json:"rejected" jsonschema:"of the failed calls, those that a breaker refused before they began"`
	Retries     map[string]uint64 `json:"retries,omitempty" jsonschema:"repeats by the number of the attempt"`
	Recovered   uint64            `json:"recovered" jsonschema:"calls that succeeded after a repeat"`
	Lost        uint64            `json:"lost" jsonschema:"calls that failed after a repeat"`
	SuccessRate float64           `json:"retry_success_rate" jsonschema:"of the last five minutes' calls that needed a repeat; 1 while there were none"`
	Errors      []retryErrors     `json:"errors,omitempty"`
	Calls       uint64            `json:"calls"`
	MeanSeconds float64           `json:"mean_seconds" jsonschema:"of a call, its waiting included"`
}

// retryErrors counts failed attempts of one category and severity.
type retryErrors struct {
	Category string `json:"category"`
	Severity string `json:"severity"`
	Count    uint64 `json:"count"`
}

// retryMetrics is the output of the method metrics.
type retryMetrics struct {
	Manager    string            `json:"manager"`
	At         time.Time         `json:"at"`
	Parked     int               `json:"parked" jsonschema:"calls that wait for a breaker or the budget now"`
	Overflowed uint64            `json:"overflowed" jsonschema:"calls that ran as other, for want of room for their name"`
	Budget     retryBudget       `json:"budget"`
	States     map[string]uint64 `json:"sqlstates,omitempty" jsonschema:"errors by SQLSTATE"`
	Outcomes   []retryOutcome    `json:"commit_outcomes,omitempty"`
}

// retryBudget is the state of a Manager's retry budget. See perdure.BudgetSnapshot.
type retryBudget struct {
	Ratio   float64 `json:"ratio"`
	Coins   float64 `json:"coins"`
	Paid    uint64  `json:"paid"`
	Refused uint64  `json:"refused"`
}

// retryOutcome counts the commits in doubt that were resolved in one way.
type retryOutcome struct {
	Resolution string `json:"resolution"`
	Method     string `json:"method"`
	Count      uint64 `json:"count"`
}

func (r retryMethods) readOperations(_ context.Context, _ struct{}) (retryOperations, error) {
	s := r.m.Snapshot()
	out := retryOperations{Manager: s.Name, Operations: []retryOperation{}}
	for i := range s.Operations {
		out.Operations = append(out.Operations, operation(&s.Operations[i]))
	}
	return out, nil
}

func operation(s *perdure.OperationSnapshot) retryOperation {
	o := retryOperation{
		Name: s.Name, Succeeded: s.Succeeded, Rejected: s.Rejected, Recovered: s.Recovered, Lost: s.Lost, SuccessRate: s.SuccessRate,
		Calls: s.Calls.Count, Failed: map[string]uint64{}, Retries: map[string]uint64{},
	}
	for reason, n := range s.Failed {
		o.Failed[or(reason.String(), "untouched")] = n
	}
	for attempt, n := range s.Retries {
		o.Retries[strconv.Itoa(attempt)] = n
	}
	for _, e := range s.Errors {
		o.Errors = append(o.Errors, retryErrors{Category: e.Category.String(), Severity: e.Severity.String(), Count: e.Count})
	}
	if s.Calls.Count > 0 {
		o.MeanSeconds = s.Calls.Sum.Seconds() / float64(s.Calls.Count)
	}
	return o
}

func (r retryMethods) readMetrics(_ context.Context, _ struct{}) (retryMetrics, error) {
	s := r.m.Snapshot()
	out := retryMetrics{
		Manager: s.Name, At: s.At, Parked: s.Parked, Overflowed: s.Overflowed, States: s.States,
		Budget: retryBudget{Ratio: s.Budget.Ratio, Coins: s.Budget.Coins, Paid: s.Budget.Paid, Refused: s.Budget.Refused},
	}
	for _, o := range s.Outcomes {
		out.Outcomes = append(out.Outcomes, retryOutcome{Resolution: string(o.Resolution), Method: o.Method, Count: o.Count})
	}
	return out, nil
}
