package perduretemporal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure/perdure/pipeline"
)

// answers is a server that answers signs of life, one after the other, the last for ever.
type answers struct {
	errs []error
	took time.Duration
	got  []beat
}

func (a *answers) RecordActivityHeartbeat(ctx context.Context, _ []byte, details ...any) error {
	a.got = append(a.got, details[0].(beat))
	err := a.errs[0]
	if len(a.errs) > 1 {
		a.errs = a.errs[1:]
	}
	if a.took > 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func TestSignsOfLife(t *testing.T) {
	down := serviceerror.NewUnavailable("down")
	for name, c := range map[string]struct {
		to    answers
		cause error
		after time.Duration
	}{
		"canceled":             {answers{errs: []error{nil, nil, temporal.NewCanceledError()}}, errCanceled, 15 * time.Second},
		"given to another":     {answers{errs: []error{nil, serviceerror.NewNotFound("timed out")}}, errLost, 10 * time.Second},
		"down for a moment":    {answers{errs: []error{down, down, down, nil, down, down, nil}}, nil, 0},
		"down for too long":    {answers{errs: []error{nil, down}}, errLost, 40 * time.Second},
		"a call that hangs":    {answers{errs: []error{nil}, took: time.Hour}, errLost, 40 * time.Second},
		"nothing goes amiss":   {answers{errs: []error{nil}}, nil, 0},
		"an answer of no kind": {answers{errs: []error{errors.New("what?")}}, errLost, 35 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				beating, still := context.WithTimeout(ctx, 10*time.Minute)
				defer still()
				p := &pulse{to: &c.to, timeout: 30 * time.Second}
				began := time.Now()
				p.run(beating, end)
				took := time.Since(began)
				if cause := context.Cause(ctx); !errors.Is(cause, c.cause) || (c.cause == nil) != (cause == nil) {
					t.Fatalf("cause = %v, want %v", cause, c.cause)
				}
				if c.cause != nil && (took < c.after-5*time.Second || took > c.after+5*time.Second) {
					t.Errorf("ended after %v, want about %v", took, c.after)
				}
			})
		})
	}
}

func TestASignOfLifeSaysHowFarTheTaskIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := answers{errs: []error{nil}}
		p := &pulse{to: &a, timeout: 30 * time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		time.AfterFunc(7*time.Second, func() { p.progress(pipeline.Task{}, 3, 9) })
		p.run(ctx, func(error) {})
		if len(a.got) != 2 || a.got[0] != (beat{}) || a.got[1] != (beat{Done: 3, Total: 9}) {
			t.Errorf("the server heard %+v, want nothing and then 3 of 9", a.got)
		}
	})
}
