package pipeline

import (
	"context"
	"strings"

	"github.com/perdure/perdure"
)

type scopeKey struct{}

// scope is what a task's context knows about where it runs.
type scope struct {
	run, step, item string
	policy          *perdure.Policy
	artifacts       string // directory of the process
	dir             string // from which relative paths start
	progress        func(done, total int)
}

func scopeOf(ctx context.Context) (scope, bool) {
	s, ok := ctx.Value(scopeKey{}).(scope)
	return s, ok
}

// Key returns the key of an effect of the task that ctx belongs to:
// "run/step/name", or "run/step/item/name" in a step with items. It is the same
// whenever and wherever the task is run again. A "/" in name is escaped, so that
// two names never make one key. Outside a step Key returns "", which
// perdurepgx.Once refuses.
func Key(ctx context.Context, name string) string {
	s, ok := scopeOf(ctx)
	if !ok {
		return ""
	}
	parts := []string{s.run, s.step}
	if s.item != "" {
		parts = append(parts, s.item)
	}
	return strings.Join(append(parts, strings.NewReplacer("%", "%25", "/", "%2F").Replace(name)), "/")
}

// Op returns op with the policy of the step that ctx belongs to, unless op has
// one of its own.
func Op(ctx context.Context, op perdure.Op) perdure.Op {
	if s, ok := scopeOf(ctx); ok && op.Policy == nil {
		op.Policy = s.policy
	}
	return op
}

// Progress tells the run's observer that the task which ctx belongs to has done
// so many of so many parts. A step with items need not call it: its items are
// counted. Outside a step it does nothing. It may be called concurrently.
func Progress(ctx context.Context, done, total int) {
	if s, ok := scopeOf(ctx); ok && s.progress != nil {
		s.progress(done, total)
	}
}

// RunName returns the name of the run that ctx belongs to, or "".
func RunName(ctx context.Context) string {
	s, _ := scopeOf(ctx)
	return s.run
}

// StepName returns the name of the step that ctx belongs to, or "".
func StepName(ctx context.Context) string {
	s, _ := scopeOf(ctx)
	return s.step
}
