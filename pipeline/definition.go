// Package pipeline runs work as a graph of named steps: what a step needs is
// done before it starts, what is independent runs in parallel, and a report
// says what happened.
//
// A [Definition] is data plus the functions that its steps name. Everything
// that passes between steps (parameters, items, outputs) is JSON of at most
// [MaxOutput] bytes, and the plan is frozen when a run starts, so that the same
// definition can run on an engine that remembers: see [Engine].
//
// A step may be run more than once: after an error that says when another try
// makes sense, or by another process after this one died. Its effects on the
// database happen exactly once all the same if each goes through
// perdurepgx.Once with a key from [Key].
package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure/perdure"
)

// MaxOutput is the most bytes of JSON that parameters, a list of items or the
// output of a step may have: 64 KiB. What is larger belongs into a table or a
// file, and its name into the output.
const MaxOutput = 64 << 10

// Func is the work of a step. Its result is marshalled to JSON and becomes the
// step's output, which the steps that need it can read. It must end soon after
// its context does, and must not wait out an outage itself: it returns the
// error, and the engine waits.
type Func func(ctx context.Context, in Input) (any, error)

// ItemsFunc lists the items of a step that runs once for each of them. It must
// return the same list for the same input, since an engine that resumes a run
// may ask again.
type ItemsFunc func(ctx context.Context, in Input) ([]Item, error)

// Definition is a pipeline: its name and its steps. It is never changed by a
// run, and may be used by several runs at once.
type Definition struct {
	// Name is 1–100 of [A-Za-z0-9._-].
	Name string
	// Doc says in a sentence what the pipeline is for.
	Doc string
	// Key names the run by its parameters, such as "flights/${params.day}": the
	// same key is the same run, whose effects happen once. Empty means that each
	// start is a run of its own. See [Definition.RunID].
	Key string
	// Params are what a run is given; see [Definition.Values]. Definitions whose
	// steps are all functions may do without.
	Params []Param
	// Secrets are what ${secrets.NAME} may name.
	Secrets []Secret
	// Dir is the directory from which the relative paths in the definition start:
	// that of its file, and absolute, if it has one. Empty means the working directory of the
	// process that runs a step. It is not part of the plan's digest. See the function [Path].
	Dir string
	// Parallel is the most tasks (steps, or items of steps) that run at once.
	// Zero means 4.
	Parallel int
	// Steps in any order; the report keeps it, and where more could start than
	// may run at once, the earlier one goes first.
	Steps []Step
}

// Step is one node of the graph.
type Step struct {
	// Name is 1–100 of [A-Za-z0-9._-], unique in the pipeline.
	Name string
	// Needs names the steps that must have succeeded, or been omitted, before
	// this one starts. Those whose output With, When or ForEach refers to are
	// needed without being named.
	Needs []string
	// Uses names the method "component.method" that [Env.Invoker] invokes. In a
	// step with a Do it is for people and for the frozen plan; zero then means the
	// name of the step.
	Uses string
	// With is the input of the method, as JSON. Its texts may have references,
	// ${params.NAME}, ${steps.NAME.output.PATH}, ${item.PATH}, ${run.id} and
	// ${secrets.NAME}; one that is nothing but a reference keeps the type of what it stands for.
	// "$${" stands for "${". A Do is handed it as it is.
	With json.RawMessage
	// Do is the work. Nil means that the method which Uses names is invoked.
	Do Func
	// When is a condition in expr-lang over params, steps and run. If it is
	// false the step is omitted: its output is null, and the steps that need it go
	// on. Empty means always.
	When string
	// ForEach makes the step run once for each element: a JSON list, or a text that
	// is one reference to a list. The element is ${item}. An element that is a text or a whole number fit for a name
	// (see Item) is named by itself, an object by its "name", any other "item-N", from 0. Zero means
	// that the step runs once.
	ForEach json.RawMessage
	// Items makes Do run once for each item, with its value as Input.Item.
	// The output of the step is then the list of the items' outputs. Nil means
	// that Do runs once.
	Items ItemsFunc
	// Parallel is the most items of this step that run at once. Zero means as
	// many as the definition allows.
	Parallel int
	// Attempts is the most times that a task of this step is run, the first
	// included, when its errors say that another try makes sense. Zero means 1.
	Attempts int
	// Delay is what the engine waits before another try if the error does not
	// say when one makes sense. Zero means 1 s.
	Delay time.Duration
	// Timeout ends the context of one try. Zero means none.
	Timeout time.Duration
	// Policy is for the database operations of the step that have none of
	// their own; [Op] applies it. Nil means the Manager's.
	Policy *perdure.Policy
}

// Item is one of the things that a step does its work for.
type Item struct {
	// Name is 1–100 of [A-Za-z0-9._-], unique in the step: it is part of the
	// keys of what is done for the item.
	Name string `json:"name"`
	// Value is handed to Do.
	Value json.RawMessage `json:"value,omitempty"`
}

// NewItem returns an item whose value is v as JSON.
func NewItem(name string, v any) (Item, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Item{}, fmt.Errorf("item %s: %w", name, err)
	}
	return Item{Name: name, Value: b}, nil
}

// Input is what a task gets: only JSON, so that it is the same when another
// process runs it.
type Input struct {
	// Params of the run.
	Params json.RawMessage `json:"params,omitempty"`
	// With of the step.
	With json.RawMessage `json:"with,omitempty"`
	// Item is the value of the item, if the step has items.
	Item json.RawMessage `json:"item,omitempty"`
	// Outputs of all steps that this one needs, directly or through others.
	Outputs map[string]json.RawMessage `json:"outputs,omitempty"`
}

// Output decodes the output of a step that this one needs into v.
func (in Input) Output(step string, v any) error {
	raw, ok := in.Outputs[step]
	if !ok {
		return fmt.Errorf("output of step %q: not among the steps that this one needs", step)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("output of step %q: %w", step, err)
	}
	return nil
}
