package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Plan is what a run does, frozen when it starts: plain JSON that an engine
// keeps, and compares when the run is resumed. Policies are not in it, since
// tuning them must not forbid to resume.
type Plan struct {
	Pipeline string          `json:"pipeline"`
	Run      string          `json:"run"`
	Params   json.RawMessage `json:"params,omitempty"`
	Steps    []PlanStep      `json:"steps"`
}

// PlanStep is a step in a Plan.
type PlanStep struct {
	Name     string          `json:"name"`
	Uses     string          `json:"uses"`
	Needs    []string        `json:"needs,omitempty"`
	With     json.RawMessage `json:"with,omitempty"`
	Items    bool            `json:"items,omitempty"`
	Attempts int             `json:"attempts"`
	Timeout  time.Duration   `json:"timeout_ns,omitempty"`
}

// Freeze returns the plan of a run named run with params. The definition must
// be valid; params must marshal to at most MaxOutput bytes of JSON.
func (d Definition) Freeze(run string, params any) (Plan, error) {
	if why := badName(run); why != "" {
		return Plan{}, fmt.Errorf("run: %s", why)
	}
	p := Plan{Pipeline: d.Name, Run: run, Steps: make([]PlanStep, 0, len(d.Steps))}
	if params != nil {
		raw, err := encode(params)
		if err != nil {
			return Plan{}, fmt.Errorf("params: %w", err)
		}
		p.Params = raw
	}
	for i, s := range d.Steps {
		with, err := compact(s.With)
		if err != nil {
			return Plan{}, fmt.Errorf("%s.with: %w", stepPath(i, s.Name), err)
		}
		uses := s.Uses
		if uses == "" {
			uses = s.Name
		}
		p.Steps = append(p.Steps, PlanStep{
			Name: s.Name, Uses: uses, Needs: s.Needs, With: with,
			Items: s.Items != nil, Attempts: max(1, s.Attempts), Timeout: s.Timeout,
		})
	}
	return p, nil
}

// encode marshals v and refuses what is too large to travel between steps.
func encode(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxOutput {
		return nil, fmt.Errorf("%d bytes of JSON are more than %d: put it in a table or a file, and its name here", len(raw), MaxOutput)
	}
	return raw, nil
}

func compact(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
