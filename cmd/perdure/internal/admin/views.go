package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

// The JSON of the API. docs/cli-json.md is its contract.

type breakerView struct {
	Manager          string               `json:"manager"`
	Name             string               `json:"name"` // the operation's; "database" for the database's
	State            breaker.State        `json:"state"`
	Held             breaker.Held         `json:"held"`
	Reason           string               `json:"reason,omitempty"` // of the last change
	NextProbe        time.Time            `json:"next_probe,omitzero"`
	NextProbeSeconds float64              `json:"next_probe_seconds,omitempty"`
	Score            float64              `json:"score"`
	Threshold        float64              `json:"threshold,omitempty"`
	HealthyRate      float64              `json:"healthy_rate,omitempty"`
	Successes        uint64               `json:"successes"`
	Failures         uint64               `json:"failures"`
	OpenSeconds      float64              `json:"open_seconds"`
	Transitions      []breaker.Transition `json:"transitions"`
}

func viewOf(manager, name string, s breaker.Snapshot) breakerView {
	v := breakerView{
		Manager: manager, Name: name, State: s.State, Held: s.Held, Reason: s.Reason, NextProbe: s.NextProbe,
		Score: s.Score, Threshold: s.Threshold, HealthyRate: s.Healthy, Successes: s.Successes, Failures: s.Failures,
		OpenSeconds: s.OpenTime.Seconds(), Transitions: s.Transitions,
	}
	if !s.NextProbe.IsZero() {
		v.NextProbeSeconds = max(0, time.Until(s.NextProbe).Seconds())
	}
	if v.Transitions == nil {
		v.Transitions = []breaker.Transition{}
	}
	return v
}

// breakers lists the breakers: of each Manager the database's first.
func (s *Server) breakers(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, "breakers", func(m perdure.Snapshot) []any {
		all := []any{viewOf(m.Name, "database", m.Database)}
		for _, o := range m.Operations {
			if o.Breaker != nil {
				all = append(all, viewOf(m.Name, o.Name, *o.Breaker))
			}
		}
		return all
	})
}

type operationView struct {
	Manager       string            `json:"manager"`
	Name          string            `json:"name"`
	Succeeded     uint64            `json:"succeeded"`
	Failed        map[string]uint64 `json:"failed"` // by reason; "untouched": the error came back as it was
	Rejected      uint64            `json:"rejected"`
	Retries       map[string]uint64 `json:"retries"` // by attempt: "2" to "9", "10+"
	Recovered     uint64            `json:"recovered"`
	Lost          uint64            `json:"lost"`
	SuccessRate   float64           `json:"retry_success_rate"`
	Errors        []errorView       `json:"errors"`
	Parks         uint64            `json:"parks"`
	ParkedSeconds float64           `json:"parked_seconds"`
	Calls         durationView      `json:"calls"`
	Attempts      durationView      `json:"attempts"`
}

type errorView struct {
	Category string `json:"category"`
	Severity string `json:"severity"`
	Count    uint64 `json:"count"`
}

// durationView sums durations up. The quantiles are upper bounds, exact to 25 %.
type durationView struct {
	Count uint64  `json:"count"`
	Sum   float64 `json:"sum_seconds"`
	P50   float64 `json:"p50_seconds"`
	P90   float64 `json:"p90_seconds"`
	P99   float64 `json:"p99_seconds"`
}

func durations(h perdure.Histogram) durationView {
	return durationView{Count: h.Count, Sum: h.Sum.Seconds(), P50: quantile(h, 0.5), P90: quantile(h, 0.9), P99: quantile(h, 0.99)}
}

func quantile(h perdure.Histogram, q float64) float64 {
	var all, sum uint64
	for _, b := range h.Buckets {
		all += b.Count
	}
	last := 0.0
	for _, b := range h.Buckets {
		if b.UpperBound < 0 { // no bound: the one below says "more than this"
			break
		}
		last = b.UpperBound.Seconds()
		if sum += b.Count; float64(sum) >= q*float64(all) {
			break
		}
	}
	return last
}

// operations lists the operations with what was counted of them.
func (s *Server) operations(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, "operations", func(m perdure.Snapshot) []any {
		all := make([]any, 0, len(m.Operations))
		for _, o := range m.Operations {
			v := operationView{
				Manager: m.Name, Name: o.Name, Succeeded: o.Succeeded, Failed: map[string]uint64{}, Rejected: o.Rejected,
				Retries: map[string]uint64{}, Recovered: o.Recovered, Lost: o.Lost, SuccessRate: o.SuccessRate,
				Errors: []errorView{}, Parks: o.Parks, ParkedSeconds: o.Waited.Seconds(),
				Calls: durations(o.Calls), Attempts: durations(o.Attempts),
			}
			for reason, n := range o.Failed {
				name := "untouched"
				if reason != 0 {
					name = reason.String()
				}
				v.Failed[name] = n
			}
			for attempt, n := range o.Retries {
				name := strconv.Itoa(attempt)
				if attempt >= 10 {
					name = "10+"
				}
				v.Retries[name] = n
			}
			for _, e := range o.Errors {
				v.Errors = append(v.Errors, errorView{e.Category.String(), e.Severity.String(), e.Count})
			}
			all = append(all, v)
		}
		return all
	})
}

type managerView struct {
	Name        string            `json:"name"`
	Parked      int               `json:"parked"`
	Overflowed  uint64            `json:"overflowed"`
	BudgetRatio float64           `json:"budget_ratio"`
	BudgetPaid  uint64            `json:"budget_paid"`
	Refused     uint64            `json:"budget_refused"`
	ProbedAt    time.Time         `json:"probed_at,omitzero"`
	ProbeFailed bool              `json:"probe_failed"`
	ProbeError  string            `json:"probe_error,omitempty"`
	SQLStates   map[string]uint64 `json:"sqlstates"`
	Outcomes    []outcomeView     `json:"commit_outcomes"`
}

type outcomeView struct {
	Resolution string `json:"resolution"`
	Method     string `json:"method"`
	Count      uint64 `json:"count"`
}

// managers lists the Managers with what is counted for all their operations.
func (s *Server) managers(w http.ResponseWriter, r *http.Request) {
	s.list(w, r, "managers", func(m perdure.Snapshot) []any {
		v := managerView{
			Name: m.Name, Parked: m.Parked, Overflowed: m.Overflowed,
			BudgetRatio: m.Budget.Ratio, BudgetPaid: m.Budget.Paid, Refused: m.Budget.Refused,
			ProbedAt: m.Probe.At, ProbeFailed: m.Probe.Failed, ProbeError: m.Probe.Error,
			SQLStates: m.States, Outcomes: []outcomeView{},
		}
		for _, o := range m.Outcomes {
			v.Outcomes = append(v.Outcomes, outcomeView{string(o.Resolution), o.Method, o.Count})
		}
		return []any{v}
	})
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, name string, of func(perdure.Snapshot) []any) {
	managers, p := s.selected(r)
	if p != nil {
		refuse(w, *p)
		return
	}
	all := []any{}
	for _, m := range managers {
		all = append(all, of(m.Snapshot())...)
	}
	reply(w, http.StatusOK, map[string]any{"at": time.Now().UTC(), name: all})
}
