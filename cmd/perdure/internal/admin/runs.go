package admin

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
)

const (
	maxRuns = 1000 // in a list
	// maxSteps is how many steps of a run are told; "more_steps" says how many are not.
	maxSteps = 2000
	// maxWaits is how many waits of a step are told, the last ones.
	maxWaits = 16
)

// runView is a run; the last fields are of one that is asked for by its name.
type runView struct {
	Run          string          `json:"run"`
	Pipeline     string          `json:"pipeline"`
	Engine       string          `json:"engine"`
	Status       pipeline.Status `json:"status"`
	Waiting      bool            `json:"waiting"` // it does nothing else
	Try          int             `json:"try"`
	How          string          `json:"how"`
	Owner        string          `json:"owner,omitempty"`
	Started      time.Time       `json:"started"`
	Ended        time.Time       `json:"ended,omitzero"`
	Seconds      float64         `json:"seconds"`
	Counts       countsView      `json:"step_counts"`
	Current      string          `json:"current_step,omitempty"`
	WaitingSteps int             `json:"waiting_steps"`
	WaitingCalls int             `json:"waiting_calls"`
	WaitingFor   string          `json:"waiting_for,omitempty"`
	WaitingSince time.Time       `json:"waiting_since,omitzero"`
	Until        time.Time       `json:"waiting_until,omitzero"`
	Repeats      uint64          `json:"repeats"`
	Failure      *failureView    `json:"failure,omitempty"`
	Remembered   bool            `json:"remembered,omitempty"`
	Steps        []stepView      `json:"steps,omitempty"`
	MoreSteps    int             `json:"more_steps,omitempty"`
}

type countsView struct {
	All       int `json:"all"`
	Pending   int `json:"pending"`
	Running   int `json:"running"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
	Omitted   int `json:"omitted"`
	Canceled  int `json:"canceled"`
}

type failureView struct {
	Step     string `json:"step,omitempty"`
	Error    string `json:"error"`
	Hint     string `json:"hint,omitempty"`
	Reason   string `json:"reason,omitempty"`
	SQLState string `json:"sqlstate,omitempty"`
}

type stepView struct {
	Name         string          `json:"name"`
	Status       pipeline.Status `json:"status"`
	Waiting      bool            `json:"waiting"`
	Started      time.Time       `json:"started,omitzero"`
	Ended        time.Time       `json:"ended,omitzero"`
	Seconds      float64         `json:"seconds"`
	Attempts     int             `json:"attempts"`
	Items        bool            `json:"items"` // done and total are items
	Done         int             `json:"done"`
	Total        int             `json:"total"`
	Until        time.Time       `json:"waiting_until,omitzero"`
	WaitingCalls int             `json:"waiting_calls"`
	WaitingFor   string          `json:"waiting_for,omitempty"`
	WaitingSince time.Time       `json:"waiting_since,omitzero"`
	Repeats      uint64          `json:"repeats"`
	Waits        []waitView      `json:"waits,omitempty"`
	Failure      *failureView    `json:"failure,omitempty"`
}

type waitView struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	For  string    `json:"for"`
}

func viewOfRun(r *runs.Run, now time.Time) runView {
	return runView{
		Run: r.Name, Pipeline: r.Pipeline, Engine: r.Engine, Status: r.Status, Waiting: r.Waiting(), Try: r.Try, How: r.How.String(), Owner: r.Owner,
		Started: r.Started, Ended: r.Ended, Seconds: r.Took(now).Seconds(),
		Counts: countsView{
			All: r.Counts.All(), Pending: r.Counts.Pending, Running: r.Counts.Running, Succeeded: r.Counts.Succeeded,
			Failed: r.Counts.Failed, Skipped: r.Counts.Skipped, Omitted: r.Counts.Omitted, Canceled: r.Counts.Canceled,
		},
		Current: r.Current, WaitingSteps: r.Waits, WaitingCalls: r.Parked, WaitingFor: r.ParkedFor, WaitingSince: r.ParkedSince,
		Until: r.Until, Repeats: r.Repeats, Failure: viewOfFailure(r.Failure), Remembered: r.Remembered,
	}
}

func viewOfFailure(f *runs.Failure) *failureView {
	if f == nil {
		return nil
	}
	return &failureView{Step: f.Step, Error: f.Text, Hint: f.Hint, Reason: f.Reason, SQLState: f.SQLState}
}

func viewOfStep(s *runs.Step, now time.Time) stepView {
	v := stepView{
		Name: s.Name, Status: s.Status, Waiting: s.Waiting(now), Started: s.Started, Ended: s.Ended, Seconds: s.Took(now).Seconds(),
		Attempts: s.Attempts, Items: s.Items, Done: s.Done, Total: s.Total, WaitingCalls: s.Parked, WaitingFor: s.ParkedFor,
		WaitingSince: s.ParkedSince, Repeats: s.Repeats, Failure: viewOfFailure(s.Failure),
	}
	if s.Until.After(now) {
		v.Until = s.Until
	}
	for _, w := range s.Waits[max(0, len(s.Waits)-maxWaits):] {
		v.Waits = append(v.Waits, waitView{From: w.From, To: w.To, For: w.For})
		if w.For == "" {
			v.Waits[len(v.Waits)-1].For = "another try"
		}
	}
	return v
}

// runs lists the runs that are known, those at work first. "?pipeline=" and
// "?status=" choose, "?limit=" bounds.
func (s *Server) runs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit := maxRuns
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxRuns {
			refuse(w, problem{
				Status: http.StatusBadRequest, Code: "bad_limit", Text: "limit: want a whole number from 1 to " + strconv.Itoa(maxRuns),
			})
			return
		}
		limit = n
	}
	now := time.Now()
	all, incomplete := []runView{}, false
	if s.cfg.Runs != nil {
		list, err := s.cfg.Runs.List(r.Context())
		incomplete = err != nil
		for i := range list {
			v := viewOfRun(&list[i], now)
			if len(all) < limit && matches(q, "pipeline", v.Pipeline) && matches(q, "status", string(v.Status)) {
				all = append(all, v)
			}
		}
	}
	answer := map[string]any{"at": now.UTC(), "runs": all}
	if incomplete { // the engine does not answer: these are the process's own
		answer["incomplete"] = true
	}
	reply(w, http.StatusOK, answer)
}

func matches(q map[string][]string, key, value string) bool {
	return len(q[key]) == 0 || q[key][0] == value
}

// run tells all that is known of one run.
func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Runs == nil {
		refuse(w, unknownRun())
		return
	}
	run, steps, err := s.cfg.Runs.Show(r.Context(), r.PathValue("run"))
	switch {
	case errors.Is(err, pipeline.ErrNoRun):
		refuse(w, unknownRun())
		return
	case err != nil:
		refuse(w, unanswered())
		return
	}
	now := time.Now()
	v := viewOfRun(&run, now)
	v.MoreSteps = max(0, len(steps)-maxSteps)
	for i := range steps[:min(len(steps), maxSteps)] {
		v.Steps = append(v.Steps, viewOfStep(&steps[i], now))
	}
	reply(w, http.StatusOK, map[string]any{"at": now.UTC(), "run": v})
}

func unknownRun() problem {
	return problem{
		Status: http.StatusNotFound, Code: "unknown_run", Text: "this process knows no run of that name",
		Try: "/api/runs lists those that it knows; perdure runs ls asks the engine's own state",
	}
}

func unanswered() problem {
	return problem{
		Status: http.StatusServiceUnavailable, Code: "engine_unavailable", Text: "the engine that remembers the runs does not answer",
		Retry: seconds(writeTimeout),
	}
}
