package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/perdure/perdure/redact"
)

// Invoker invokes methods of components by name. component.Loader is one.
type Invoker interface {
	Invoke(ctx context.Context, component, method string, in json.RawMessage) (json.RawMessage, error)
}

// Env is what a process gives to the steps that it runs. It may be used
// concurrently if Invoker and Secret may.
type Env struct {
	// Invoker does the work of the steps that have no function.
	Invoker Invoker
	// Secret reads a secret. Nil means its Read.
	Secret func(ctx context.Context, s Secret) (redact.Secret, error)
	// Pipeline returns the definition whose steps have functions, by its name, for
	// plans that were frozen from one. Nil means that this process has none.
	Pipeline func(name string) (Definition, bool)
	// Around, if it is set, is called before each task of a run of the named pipeline, on its goroutine. The task
	// runs under the context that it returns, which must be ctx or come from it; the function that it returns
	// is called when the task has ended, with its error or nil. It is the place for a span: see
	// perdureotel/otelpipeline. It must not block or panic.
	Around func(ctx context.Context, pipeline string, t Task) (context.Context, func(error))
	// Dir is the directory from which the relative paths of every plan start. Empty
	// means that of the plan; it is for processes on machines that have the files elsewhere. See the
	// function [Path].
	Dir string
	// Artifacts is the directory for what is too large for an output; see the
	// function [Artifacts]. Empty means that there is none.
	Artifacts string
	// Progress is told what tasks tell by the function [Progress], on their
	// goroutines, when [Env.Execute] or [Env.RunStep] runs them: an engine's own business. Nil means nobody is.
	Progress func(t Task, done, total int)
}

// RunStep runs a step of a plan, or one of its items, and returns its output: a
// task without an engine. item is empty in a step without any; in is the task's.
// See [Env.Execute].
func (e Env) RunStep(ctx context.Context, p Plan, step, item string, in Input) (json.RawMessage, error) {
	t, err := e.bind(p, Task{Run: p.Run, Step: step, Item: item, Input: in})
	if err != nil {
		return nil, err
	}
	return t.execute(ctx)
}

// Execute runs a task of a plan and returns its outcome, whatever it does. It is for
// engines whose tasks run in other processes than [Run] does: all that it needs is in
// its arguments, both of which are JSON. The plan may be cut down to the task's step (see [Plan.Only]).
//
// Timeout and policy of the step apply. It is not tried again here: see
// [NewFailure] for what an error means for that. A panic is an outcome too.
func (e Env) Execute(ctx context.Context, p Plan, t Task) Outcome {
	t, err := e.bind(p, t)
	if err != nil {
		return Outcome{Failure: NewFailure(err)}
	}
	return t.Execute(ctx)
}

// bind gives a task that was JSON what it is run with.
func (e Env) bind(p Plan, t Task) (Task, error) {
	i := slices.IndexFunc(p.Steps, func(s PlanStep) bool { return s.Name == t.Step })
	if i < 0 {
		return t, fmt.Errorf("plan of run %s: there is no step %q", p.Run, t.Step)
	}
	def := p.Steps[i].step()
	e.lend(p.Pipeline, &def)
	if p.Steps[i].Items && def.Items == nil {
		return t, fmt.Errorf("step %s: its items are listed by a function, which this process does not have", t.Step)
	}
	t.step, t.env, t.plan, t.progress = &def, e, &p, e.Progress
	return t, nil
}

// dir is where relative paths of the plan start in this process.
func (e Env) dir(p *Plan) string {
	if e.Dir == "" && p != nil {
		return p.Dir
	}
	return e.Dir
}

// definition is what the plan was made from, with the functions of this process.
func (e Env) definition(p Plan) Definition {
	d := p.Definition()
	for i := range d.Steps {
		e.lend(p.Pipeline, &d.Steps[i])
	}
	return d
}

// lend gives a step the functions that this process has for it.
func (e Env) lend(pipeline string, s *Step) {
	if e.Pipeline == nil {
		return
	}
	d, ok := e.Pipeline(pipeline)
	if !ok {
		return
	}
	for i := range d.Steps {
		if d.Steps[i].Name == s.Name {
			s.Do, s.Items = d.Steps[i].Do, d.Steps[i].Items
		}
	}
}

// invoke resolves the references of the input and invokes the method. Secrets
// are read here, and go nowhere but into the method.
func (t Task) invoke(ctx context.Context) (json.RawMessage, error) {
	component, method, ok := cutUses(t.step.Uses)
	if !ok || t.env.Invoker == nil {
		return nil, fmt.Errorf("step %s uses %q: nothing here invokes it", t.Step, t.step.Uses)
	}
	b, err := t.Input.bindings(t.Run)
	if err != nil {
		return nil, err
	}
	var used revealed
	b.secret = func(name string) (string, error) {
		s, err := t.env.reveal(ctx, t.plan, name)
		if err == nil {
			used = append(used, s)
		}
		return s, err
	}
	with := t.Input.With
	if len(with) == 0 {
		with = json.RawMessage("{}")
	}
	if with, err = b.resolve(with); err != nil {
		return nil, fmt.Errorf("with: %w", err)
	}
	out, err := t.env.Invoker.Invoke(ctx, component, method, with)
	switch {
	case err != nil && len(used) > 0:
		return nil, &hidden{used: used, err: err}
	case err != nil:
		return nil, err
	case used.in(out):
		return nil, errors.New("the output has a secret in it, and outputs are stored: leave it out")
	case len(out) == 0:
		return json.RawMessage("null"), nil
	}
	return out, nil
}

// hidden is an error whose text had a secret, or may have: what is said of it, by
// itself or by redact, is said without.
type hidden struct {
	used revealed
	err  error
}

func (e *hidden) Error() string { return e.used.hide(e.err.Error()) }

// Describe is for redact.Error.
func (e *hidden) Describe(text func(error) string) string { return e.used.hide(text(e.err)) }

func (e *hidden) Unwrap() error { return e.err }

func (e Env) reveal(ctx context.Context, p *Plan, name string) (string, error) {
	i := slices.IndexFunc(p.Secrets, func(s Secret) bool { return s.Name == name })
	if i < 0 {
		return "", fmt.Errorf("secrets.%s: there is none", name)
	}
	s := p.Secrets[i]
	read := e.Secret
	if read == nil {
		read = func(_ context.Context, s Secret) (redact.Secret, error) { return s.Read() }
	}
	secret, err := read(ctx, s)
	if err != nil {
		return "", fmt.Errorf("secrets.%s, from %s: %w", name, s.where(), err)
	}
	if secret.Empty() {
		return "", fmt.Errorf("secrets.%s, from %s: empty", name, s.where())
	}
	return secret.Reveal(), nil
}

// ErrNoArtifacts says that the process keeps no artifacts.
var ErrNoArtifacts = errors.New("there is no artifact directory here")

// Artifacts returns the directory for files of the task that ctx belongs to,
// and makes it: run/step, or run/step/item in a step with items, in the
// Env's. It is the same whenever the task is run again on the same machine, with what an earlier
// try left in it. Without an Env.Artifacts, and outside a step, the error is [ErrNoArtifacts].
func Artifacts(ctx context.Context) (string, error) {
	s, ok := scopeOf(ctx)
	if !ok || s.artifacts == "" {
		return "", ErrNoArtifacts
	}
	dir := filepath.Join(s.artifacts, dirName(s.run), dirName(s.step), dirName(s.item))
	return dir, os.MkdirAll(dir, 0o750)
}

// dirName keeps "." and ".." from being what they are.
func dirName(name string) string {
	if name == "." || name == ".." {
		return "_" + name
	}
	return name
}
