package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
)

// Task is one try of a step, of one of its items, or of listing its items.
// Everything that says which one it is, is JSON.
type Task struct {
	Run     string `json:"run"`
	Step    string `json:"step"`
	Listing bool   `json:"listing,omitempty"` // calls Items, not Do
	Item    string `json:"item,omitempty"`
	Index   int    `json:"index"`   // of the item
	Attempt int    `json:"attempt"` // from 1
	Input   Input  `json:"input"`

	at       int   // of the step in the definition
	step     *Step // what to run
	env      Env
	plan     *Plan
	progress func(t Task, done, total int)
}

// Outcome is how a try of a task ended. It marshals to JSON.
type Outcome struct {
	Output  json.RawMessage `json:"output,omitempty"`
	Failure *Failure        `json:"failure,omitempty"` // nil: it succeeded
}

// Execute runs the task and returns its outcome, whatever it does: a panic is
// an outcome too. Engines call it, on a goroutine of its own.
func (t Task) Execute(ctx context.Context) Outcome {
	raw, err := t.execute(ctx)
	if err != nil {
		return Outcome{Failure: NewFailure(err)}
	}
	return Outcome{Output: raw}
}

func (t Task) execute(ctx context.Context) (_ json.RawMessage, err error) {
	s := scope{run: t.Run, step: t.Step, item: t.Item, policy: t.step.Policy, artifacts: t.env.Artifacts, dir: t.env.dir(t.plan)}
	if t.progress != nil {
		s.progress = func(done, total int) { t.progress(t, done, total) }
	}
	ctx = context.WithValue(ctx, scopeKey{}, s)
	if around := t.env.Around; around != nil {
		var end func(error)
		ctx, end = around(ctx, t.plan.Pipeline, t)
		defer func() { end(err) }()
	}
	if t.step.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.step.Timeout,
			fmt.Errorf("step %s: timeout of %v: %w", t.Step, t.step.Timeout, context.DeadlineExceeded))
		defer cancel()
	}
	v, err := t.call(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := encode(v)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return raw, nil
}

func (t Task) call(ctx context.Context) (v any, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		err = &PanicError{Value: recover(), Stack: debug.Stack()}
	}()
	switch {
	case t.Listing:
		v, err = t.items(ctx)
	case t.step.Do != nil:
		v, err = t.step.Do(ctx, t.Input)
	default:
		v, err = t.invoke(ctx)
	}
	returned = true
	return v, err
}

func (t Task) items(ctx context.Context) ([]Item, error) {
	items, err := t.step.Items(ctx, t.Input)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(items))
	for i, item := range items {
		if why := badName(item.Name); why != "" {
			return nil, fmt.Errorf("items[%d].name: %s", i, why)
		}
		if seen[item.Name] {
			return nil, fmt.Errorf("items[%d].name: %q is there twice", i, item.Name)
		}
		seen[item.Name] = true
	}
	if items == nil {
		items = []Item{}
	}
	return items, nil
}
