package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/redact"
)

type aroundKey struct{}

// TestWhatIsAroundATask runs in its context, before it, and after it with its
// error, for each try of each item, also of a task that panics.
func TestWhatIsAroundATask(t *testing.T) {
	broken := errors.New("broken")
	var told []string
	env := Env{Around: func(ctx context.Context, pipeline string, task Task) (context.Context, func(error)) {
		name := pipeline + "/" + RunName(ctx) + "/" + StepName(ctx) + "/" + task.Item
		told = append(told, "begin "+name)
		return context.WithValue(ctx, aroundKey{}, name), func(err error) {
			switch _, panicked := errors.AsType[*PanicError](err); {
			case panicked:
				told = append(told, "panic "+name)
			case errors.Is(err, broken):
				told = append(told, "broken "+name)
			default:
				told = append(told, "end "+name)
			}
		}
	}}
	within := func(ctx context.Context, _ Input) (any, error) {
		name, _ := ctx.Value(aroundKey{}).(string)
		told = append(told, "in "+name)
		switch StepName(ctx) {
		case "falls":
			panic("over")
		case "fails":
			return nil, broken
		}
		return 1, nil
	}
	d := Definition{Name: "p", Parallel: 1, Steps: []Step{
		{Name: "each", Do: within, Items: func(context.Context, Input) ([]Item, error) { return []Item{{Name: "a"}}, nil }},
		{Name: "falls", Needs: []string{"each"}, Do: within},
		{Name: "fails", Needs: []string{"each"}, Do: within, Timeout: time.Minute},
	}}
	if _, err := Run(t.Context(), d, Options{Run: "r", Env: env}); err == nil {
		t.Fatal("no error")
	}
	want := []string{
		"begin p/r/each/", "end p/r/each/", // its items are listed
		"begin p/r/each/a", "in p/r/each/a", "end p/r/each/a",
		"begin p/r/falls/", "in p/r/falls/", "panic p/r/falls/",
		"begin p/r/fails/", "in p/r/fails/", "broken p/r/fails/",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%q, want\n%q", told, want)
	}
}

// TestEventsCount tries and items, and tell items from the parts of one.
func TestEventsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		d := Definition{Name: "p", Parallel: 1, Steps: []Step{{
			Name: "each", Attempts: 2,
			Items: func(context.Context, Input) ([]Item, error) { return []Item{{Name: "a"}, {Name: "b"}}, nil },
			Do: func(ctx context.Context, _ Input) (any, error) {
				Progress(ctx, 5, 9)
				if tries++; tries == 1 {
					return nil, RetryAt(redact.Errorf("busy"), time.Now().Add(time.Second))
				}
				return 1, nil
			},
		}}}
		type count struct {
			kind                  EventKind
			parts                 bool
			done, total, attempts int
		}
		var got []count
		_, err := Run(t.Context(), d, Options{Run: "r", Observe: func(e Event) {
			got = append(got, count{e.Kind, e.Parts, e.Done, e.Total, e.Attempts})
			if e.Kind == EventWaiting && e.Failure.Safe != "busy" {
				t.Errorf("Safe = %q, want the words of the error", e.Failure.Safe)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := []count{
			{EventStepStarted, false, 0, 0, 1},
			{EventProgress, false, 0, 2, 1}, // the items are listed
			{EventProgress, true, 5, 9, 0},
			{EventWaiting, false, 0, 0, 2},
			{EventProgress, true, 5, 9, 0},
			{EventProgress, false, 1, 2, 3},
			{EventProgress, true, 5, 9, 0},
			{EventProgress, false, 2, 2, 4},
			{EventStepEnded, false, 2, 2, 4},
		}
		if !slices.Equal(got, want) {
			t.Errorf("events\n%v, want\n%v", got, want)
		}
	})
}

// TestASafeTextHoldsNoData: whoever shows failures shows Safe.
func TestASafeTextHoldsNoData(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"an error of another program": {errors.New("customer ada: broken"), "*errors.errorString"},
		"words that are no data":      {redact.Errorf("exit status %d", 3), "exit status 3"},
		"a panic":                     {&PanicError{Value: "ada"}, "*pipeline.PanicError"},
		"a call that gave up":         {&perdure.Error{Op: "load", Reason: perdure.ReasonExhausted, Attempts: 3, Err: errors.New("ada")}, ""},
	} {
		f := NewFailure(c.err)
		if c.want != "" && f.Safe != c.want {
			t.Errorf("%s: Safe = %q, want %q", name, f.Safe, c.want)
		}
		if f.Safe == "" || strings.Contains(f.Safe, "ada") {
			t.Errorf("%s: Safe = %q", name, f.Safe)
		}
	}
}
