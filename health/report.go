package health

import (
	"encoding/json"
	"net/http"
	"time"
)

// report is the answer of /healthz, by the Internet draft
// draft-inadarei-api-health-check: status is pass, warn or fail.
type report struct {
	Status      string              `json:"status"`
	Version     string              `json:"version,omitempty"`
	Description string              `json:"description,omitempty"`
	Notes       []string            `json:"notes,omitempty"`
	Checks      map[string][]detail `json:"checks,omitempty"`
}

// detail is one check of a report. The draft gives each name a list.
type detail struct {
	Status string  `json:"status"`
	Time   string  `json:"time,omitempty"`
	Value  float64 `json:"observedValue"`
	Unit   string  `json:"observedUnit"`
	Output string  `json:"output,omitempty"`
	Age    float64 `json:"ageSeconds"`
	Since  string  `json:"since,omitempty"`
}

// Report returns the handler of /healthz: all checks as application/health+json,
// 200 if they add up to pass or warn, else 503. ?exclude= is that of Ready. A
// check that is unknown is there as warn, with the reason in its output, since
// the format has no other word. observedValue is how long the newest run took;
// ageSeconds and since are ours.
func (h *Health) Report() http.Handler {
	return guard(func(w http.ResponseWriter, r *http.Request) {
		exclude := excluded(r)
		status, results := h.Check(r.Context(), exclude...)
		rep := report{Version: h.cfg.Version, Description: h.cfg.Description, Checks: map[string][]detail{}}
		if h.Draining() {
			status = Fail
			rep.Checks[drainingName] = []detail{{Status: Fail.String(), Unit: "s", Output: "the program is about to end"}}
		}
		rep.Status = status.String()
		for _, res := range results {
			rep.Checks[res.Name] = []detail{h.detail(res)}
		}
		if none := h.unknownNames(exclude); len(none) > 0 {
			rep.Notes = []string{"no check to exclude is named " + quoted(none)}
		}
		code := http.StatusOK
		if status == Fail {
			code = http.StatusServiceUnavailable
		}
		body, err := json.MarshalIndent(rep, "", "  ")
		if err != nil { // not with these types
			write(w, r, http.StatusInternalServerError, textType, "no report\n")
			return
		}
		write(w, r, code, healthType, string(body)+"\n")
	})
}

func (h *Health) detail(r Result) detail {
	d := detail{Status: r.Status.String(), Value: r.Took.Seconds(), Unit: "s", Age: r.Age().Seconds()}
	if !r.At.IsZero() {
		d.Time = r.At.UTC().Format(time.RFC3339)
	}
	if !r.Since.IsZero() {
		d.Since = r.Since.UTC().Format(time.RFC3339)
	}
	switch r.Status {
	case Unknown:
		d.Status, d.Output = Warned.String(), "unknown because "+r.Because+" is down"
	case Warned, Fail:
		d.Output = h.reason(r)
		if r.Optional {
			d.Status = Warned.String()
		}
	case Pass:
	}
	return d
}
