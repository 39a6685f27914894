package pipeline

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure"
)

// ErrPlanChanged says that a run was begun with another plan than the one it is
// to be resumed with.
var ErrPlanChanged = errors.New("the plan has changed since the run began")

// maxKey is the most bytes of a key, before and after its parameters are in it.
const maxKey = 300

// Plan is what a run does, frozen when it starts: plain JSON that an engine
// keeps, from which any process can run a step (see [Env.RunStep]), and which is
// compared when the run is resumed (see [Plan.Same]).
type Plan struct {
	Pipeline string          `json:"pipeline"`
	Run      string          `json:"run"`
	Params   json.RawMessage `json:"params,omitempty"`
	Secrets  []Secret        `json:"secrets,omitempty"` // where they come from, never what they are
	Parallel int             `json:"parallel,omitempty"`
	Steps    []PlanStep      `json:"steps"`
}

// PlanStep is a step in a Plan.
type PlanStep struct {
	Name     string          `json:"name"`
	Uses     string          `json:"uses"`
	Needs    []string        `json:"needs,omitempty"` // the implied ones too
	With     json.RawMessage `json:"with,omitempty"`
	When     string          `json:"when,omitempty"`
	ForEach  json.RawMessage `json:"foreach,omitempty"`
	Items    bool            `json:"items,omitempty"` // listed by a function
	Attempts int             `json:"attempts"`
	Delay    time.Duration   `json:"delay_ns,omitempty"`
	Timeout  time.Duration   `json:"timeout_ns,omitempty"`
	Parallel int             `json:"parallel,omitempty"`
	Policy   *perdure.Policy `json:"policy,omitempty"`
}

// Freeze returns the plan of a run named run with params. The definition must
// be valid; params must marshal to at most MaxOutput bytes of JSON. If the
// definition has parameters, params is an object with their values, or nil, and the plan has all of
// them, with defaults.
func (d Definition) Freeze(run string, params any) (Plan, error) {
	if why := badName(run); why != "" {
		return Plan{}, fmt.Errorf("run: %s", why)
	}
	p := Plan{Pipeline: d.Name, Run: run, Secrets: d.Secrets, Parallel: d.Parallel, Steps: make([]PlanStep, 0, len(d.Steps))}
	var err error
	if p.Params, err = d.freezeParams(params); err != nil {
		return Plan{}, err
	}
	for i, s := range d.Steps {
		at := d.stepPlace(i)
		with, err := canonical(s.With)
		if err != nil {
			return Plan{}, fmt.Errorf("%s.with: %w", at.shown, err)
		}
		each, err := canonical(s.ForEach)
		if err != nil {
			return Plan{}, fmt.Errorf("%s.foreach: %w", at.shown, err)
		}
		uses := s.Uses
		if uses == "" {
			uses = s.Name
		}
		p.Steps = append(p.Steps, PlanStep{
			Name: s.Name, Uses: uses, Needs: d.wire(i, ignoreFault).needs, With: with, When: s.When, ForEach: each,
			Items: s.Items != nil, Attempts: max(1, s.Attempts), Delay: s.Delay, Timeout: s.Timeout, Parallel: s.Parallel, Policy: s.Policy,
		})
	}
	return p, nil
}

func ignoreFault(place, string, ...any) {}

func (d Definition) freezeParams(params any) (json.RawMessage, error) {
	if raw, ok := params.(json.RawMessage); ok && len(raw) == 0 {
		params = nil
	}
	if params == nil && len(d.Params) == 0 {
		return nil, nil
	}
	if len(d.Params) > 0 {
		given := make(map[string]json.RawMessage)
		raw, err := json.Marshal(params)
		if err == nil {
			err = json.Unmarshal(raw, &given)
		}
		if err != nil {
			return nil, fmt.Errorf("params: %w", err)
		}
		values, err := d.Values(given)
		if err != nil {
			return nil, err
		}
		params = values
	}
	raw, err := encode(params)
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	return raw, nil
}

// RunID returns the name of the run with these values (see [Definition.Values]):
// the same for the same key, and a new one each time if the pipeline has no key.
// It is made of the pipeline's name, of what of the key fits a name, and of a digest of both.
func (d Definition) RunID(values map[string]json.RawMessage) (string, error) {
	const digest, room = 10, maxName - 12
	if d.Key == "" {
		return strings.TrimRight(d.Name[:min(len(d.Name), room)], ".") + "-" + strings.ToLower(rand.Text()[:digest]), nil
	}
	key, err := bindings{params: values}.text(d.Key)
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	text, ok := key.(string)
	if !ok {
		raw, isRaw := key.(json.RawMessage)
		if !isRaw {
			return "", fmt.Errorf("key: is %T", key)
		}
		if text, err = wordOf(raw); err != nil {
			return "", fmt.Errorf("key: %w", err)
		}
	}
	if text == "" || len(text) > maxKey {
		return "", fmt.Errorf("key: has %d bytes, want 1 to %d", len(text), maxKey)
	}
	sum := sha256.Sum256([]byte(d.Name + "\x00" + text))
	name := d.Name + "." + strings.Map(func(r rune) rune {
		if r < 0x80 && badName(string(r)) == "" {
			return r
		}
		return '-'
	}, text)
	return name[:min(len(name), room)] + "-" + hex.EncodeToString(sum[:])[:digest], nil
}

// Definition returns the definition that the plan was made from, for a process
// that has only the plan. Steps whose work is a function have none in it.
func (p Plan) Definition() Definition {
	d := Definition{Name: p.Pipeline, Secrets: p.Secrets, Parallel: p.Parallel, Steps: make([]Step, len(p.Steps))}
	values := make(map[string]json.RawMessage)
	if json.Unmarshal(p.Params, &values) == nil {
		for name := range values {
			d.Params = append(d.Params, Param{Name: name, Type: paramAny})
		}
	}
	for i := range p.Steps {
		d.Steps[i] = p.Steps[i].step()
	}
	return d
}

// Only returns the plan with no step but the named one: what a task needs of it.
func (p Plan) Only(step string) Plan {
	i := slices.IndexFunc(p.Steps, func(s PlanStep) bool { return s.Name == step })
	if i < 0 {
		p.Steps = nil
		return p
	}
	p.Steps = p.Steps[i : i+1 : i+1]
	return p
}

func (s *PlanStep) step() Step {
	return Step{
		Name: s.Name, Uses: s.Uses, Needs: s.Needs, With: s.With, When: s.When, ForEach: s.ForEach,
		Attempts: s.Attempts, Delay: s.Delay, Timeout: s.Timeout, Parallel: s.Parallel, Policy: s.Policy,
	}
}

// Digest is a SHA-256 of what the run does: its parameters, and the name, work,
// input, order and conditions of its steps. How it is tried (parallel, attempts, delays, timeouts and
// policies) is not in it, so that tuning does not forbid to resume.
func (p Plan) Digest() string {
	what := Plan{Pipeline: p.Pipeline, Run: p.Run, Secrets: p.Secrets}
	what.Params = orderly(p.Params)
	for i := range p.Steps {
		what.Steps = append(what.Steps, p.Steps[i].what())
	}
	raw, err := json.Marshal(what)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func (s *PlanStep) what() PlanStep {
	return PlanStep{
		Name: s.Name, Uses: s.Uses, Needs: s.Needs, With: orderly(s.With), When: s.When, ForEach: orderly(s.ForEach), Items: s.Items,
	}
}

// orderly is what was once JSON in one form: a store (jsonb, for one) may have
// changed the order of its keys, and the way in which its numbers are written.
func orderly(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	v, err := decodeJSON(raw)
	if err == nil {
		var out json.RawMessage
		if out, err = marshal(numbers(v)); err == nil { // 1e3 and 1000.0 are 1000
			return out
		}
	}
	return raw
}

// Same returns nil if now does what p, which a run was begun with, does, else an
// error that is [ErrPlanChanged] and says what has changed.
func (p Plan) Same(now Plan) error {
	if p.Digest() == now.Digest() {
		return nil
	}
	var changed []string
	differ := func(name string, a, b any) {
		x, errX := json.Marshal(a)
		y, errY := json.Marshal(b)
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			changed = append(changed, name)
		}
	}
	differ("pipeline", p.Pipeline, now.Pipeline)
	differ("run", p.Run, now.Run)
	differ("params", orderly(p.Params), orderly(now.Params))
	differ("secrets", p.Secrets, now.Secrets)
	old := make(map[string]PlanStep, len(p.Steps))
	for i := range p.Steps {
		old[p.Steps[i].Name] = p.Steps[i].what()
	}
	for i := range now.Steps {
		was, ok := old[now.Steps[i].Name]
		if delete(old, now.Steps[i].Name); !ok {
			changed = append(changed, "step "+now.Steps[i].Name+" is new")
			continue
		}
		differ("step "+was.Name, was, now.Steps[i].what())
	}
	for i := range p.Steps {
		if _, gone := old[p.Steps[i].Name]; gone {
			changed = append(changed, "step "+p.Steps[i].Name+" is gone")
		}
	}
	if len(changed) == 0 {
		changed = []string{"the order of the steps"}
	}
	return fmt.Errorf("run %s: %w: %s", p.Run, ErrPlanChanged, strings.Join(changed, ", "))
}

// encode marshals v and refuses what is too large to travel between steps.
func encode(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxOutput {
		return nil, tooLarge(len(raw))
	}
	return raw, nil
}

func tooLarge(n int) error {
	return fmt.Errorf("%d bytes of JSON are more than %d: put it in a table or a file of the artifact directory, and its name here", n, MaxOutput)
}

// canonical returns the same value in the one way that it is written here: keys
// in order, no spaces.
func canonical(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	v, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	return marshal(v)
}
