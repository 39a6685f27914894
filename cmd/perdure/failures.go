package main

import (
	"errors"
	"fmt"
)

// failures are the errors of a command that was given several runs.
type failures []failure

type failure struct {
	run string
	err error
}

func (f *failures) add(run string, err error) { *f = append(*f, failure{run, err}) }

// failAll says what went wrong with each run, and returns one error for all: the
// only one, if there was only one run; partial, if others went well.
func (a *app) failAll(f failures, of int) error {
	switch {
	case len(f) == 0:
		return nil
	case of == 1:
		return f[0].err
	}
	all, _ := explain(f[0].err)
	for _, one := range f {
		code, hint := explain(one.err)
		if code != all {
			all = exitFailed
		}
		a.say("perdure: %s: %v", one.run, one.err)
		if hint != "" {
			a.say("Try: %s", hint)
		}
	}
	if len(f) < of {
		all = exitPartial
	}
	for _, one := range f {
		if e, ok := errors.AsType[*exitError](one.err); ok && e.code == exitInterrupted {
			return &exitError{code: exitInterrupted, err: errInterrupted, hint: e.hint}
		}
	}
	return &exitError{code: all, err: fmt.Errorf("%d of %s did not succeed", len(f), counted(of, "run"))}
}
