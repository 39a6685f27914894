package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

const (
	holdOpen   = "hold-open"
	holdClosed = "hold-closed"
	release    = "release"

	// maxReason is the length of a reason in characters.
	maxReason = 200
)

// changed is the JSON of a change.
type changed struct {
	Manager string `json:"manager"`
	// Changed is false if the breaker was as wanted before: asking twice is no fault.
	Changed bool        `json:"changed"`
	Breaker breakerView `json:"breaker"`
}

// change holds or releases a breaker.
func (s *Server) change(action string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := Try{Action: action, Client: clientOf(r).String()}
		if name := r.PathValue("name"); isName(name) {
			t.Breaker = name
		}
		if name := r.URL.Query().Get("manager"); isName(name) {
			t.Manager = name
		}
		if p := s.gate.admit(r, &t); p != nil {
			challenge(w, p)
			return
		}
		m, b, p := s.find(r)
		if p == nil {
			t.Manager = m.Name()
			t.Reason, p = readReason(r, action)
		}
		if p != nil {
			s.gate.refused(r.Context(), t, *p)
			refuse(w, *p)
			return
		}
		// It is recorded first: what cannot be recorded is not done.
		t.Status = http.StatusOK
		if err := s.gate.record(r.Context(), t); err != nil {
			s.log.LogAttrs(r.Context(), slog.LevelError, "a change was refused because it could not be audited", slog.String("action", action))
			refuse(w, notAudited())
			return
		}
		done := apply(b, action, t.Reason)
		reply(w, http.StatusOK, changed{Manager: m.Name(), Changed: done, Breaker: viewOf(m.Name(), t.Breaker, b.Snapshot())})
	})
}

// apply reports whether anything was to be done. Two that do the same at once
// may both be told that they did it.
func apply(b *breaker.Breaker, action, reason string) bool {
	held := b.Held()
	switch {
	case action == holdOpen && held != breaker.HeldOpen:
		b.HoldOpen(reason)
	case action == holdClosed && held != breaker.HeldClosed:
		b.HoldClosed(reason)
	case action == release && held != breaker.NotHeld:
		b.Release()
	default:
		return false
	}
	return true
}

// find returns the breaker that the request names.
func (s *Server) find(r *http.Request) (*perdure.Manager, *breaker.Breaker, *problem) {
	managers, p := s.selected(r)
	if p != nil {
		return nil, nil, p
	}
	if len(managers) > 1 {
		return nil, nil, &problem{
			Status: http.StatusBadRequest, Code: "manager_needed", Text: "there are several managers", Try: "?manager=NAME", Known: namesOf(managers),
		}
	}
	m, name := managers[0], r.PathValue("name")
	b := m.Breaker(name)
	if b != nil {
		return m, b, nil
	}
	known := []string{"database"}
	for _, o := range m.Snapshot().Operations {
		if o.Breaker != nil {
			known = append(known, o.Name)
		}
	}
	return nil, nil, &problem{
		Status: http.StatusNotFound, Code: "unknown_breaker",
		Text:  "there is no breaker of that name: an operation has one from its first call on",
		Known: known[:min(len(known), maxKnown)],
	}
}

// maxKnown bounds the names in an answer.
const maxKnown = 100

// selected returns the Managers that ?manager= names, or all.
func (s *Server) selected(r *http.Request) ([]*perdure.Manager, *problem) {
	q := r.URL.Query()
	if !q.Has("manager") {
		return s.cfg.Managers, nil
	}
	i := slices.IndexFunc(s.cfg.Managers, func(m *perdure.Manager) bool { return m.Name() == q.Get("manager") })
	if i < 0 {
		return nil, &problem{
			Status: http.StatusNotFound, Code: "unknown_manager", Text: "there is no manager of that name", Known: namesOf(s.cfg.Managers),
		}
	}
	return s.cfg.Managers[i : i+1], nil
}

func namesOf(managers []*perdure.Manager) []string {
	var names []string
	for _, m := range managers[:min(len(managers), maxKnown)] {
		names = append(names, m.Name())
	}
	return names
}

// readReason reads {"reason": "…"}. A hold needs one: whoever finds it later
// wants to know why.
func readReason(r *http.Request, action string) (string, *problem) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return "", &problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Text: fmt.Sprintf("the body is larger than %d bytes", maxBodyBytes)}
		}
		return "", &problem{Status: http.StatusBadRequest, Code: "bad_body", Text: "the body did not arrive"}
	}
	if len(body) == 0 && action == release {
		return "", nil
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return "", &problem{Status: http.StatusUnsupportedMediaType, Code: "not_json", Text: "the body has to be JSON", Try: "Content-Type: application/json"}
	}
	var in struct {
		Reason string `json:"reason"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if d.Decode(&in) != nil || d.Decode(&struct{}{}) != io.EOF {
		return "", &problem{Status: http.StatusBadRequest, Code: "bad_body", Text: "the body is not what this takes", Try: `{"reason": "…"}`}
	}
	reason := strings.TrimSpace(in.Reason)
	switch {
	case reason == "" && action != release:
		return "", &problem{Status: http.StatusBadRequest, Code: "reason_missing", Text: "a hold needs a reason, for whoever finds it", Try: `{"reason": "…"}`}
	case utf8.RuneCountInString(reason) > maxReason:
		return "", &problem{Status: http.StatusBadRequest, Code: "bad_reason", Text: fmt.Sprintf("the reason is longer than %d characters", maxReason)}
	case strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", &problem{Status: http.StatusBadRequest, Code: "bad_reason", Text: "the reason holds characters that cannot be shown"}
	}
	return reason, nil
}

// isName reports whether s can be the name of an operation or a manager: what is
// not has no place in a log or a trail.
func isName(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}
