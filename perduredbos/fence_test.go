package perduredbos_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

// TestForeignRecordsAreNotFollowed: a process that lost its run between two records finds those
// of the new owner where its own would be. It must not take them for its past: tasks of
// its own are at work.
func TestForeignRecordsAreNotFollowed(t *testing.T) {
	var c counter
	dir := t.TempDir()
	aEnded, goOn, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	d := &pipeline.Definition{Name: "p", Steps: []pipeline.Step{
		{Name: "a", Do: value(1)},
		{Name: "slow", Do: func(context.Context, pipeline.Input) (any, error) {
			if c.add("slow") == 1 {
				<-release
			}
			return 1, nil
		}},
		{Name: "b", Needs: []string{"a"}, Do: func(context.Context, pipeline.Input) (any, error) { return c.add("b"), nil }},
		{Name: "c", Needs: []string{"slow"}, Do: func(context.Context, pipeline.Input) (any, error) { return c.add("c"), nil }},
	}}
	e := open(t, perduredbos.Config{Dir: dir, Env: env(d), Poll: time.Hour}) // it notices by the records alone
	other := engine(t, dir, d)
	ended := make(chan error, 1)
	go func() {
		_, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{Observe: func(ev pipeline.Event) {
			if ev.Kind == pipeline.EventStepEnded && ev.Step == "a" {
				close(aEnded)
				<-goOn // the process is frozen here
			}
		}})
		ended <- err
	}()
	arrives(t, aEnded, ended)
	want, err := other.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{TakeOver: true})
	if err != nil {
		t.Fatal(err)
	}
	close(goOn)
	close(release)
	if err := <-ended; !errors.Is(err, perduredbos.ErrTakenOver) {
		t.Errorf("error %v, want ErrTakenOver", err)
	}
	if c.of("c") != 1 {
		t.Errorf("c was begun %d times, want once: it was not to be begun by the process that lost the run", c.of("c"))
	}
	if got := show(t, e, "r").Report; asJSON(t, got) != asJSON(t, want) {
		t.Errorf("the report has changed: %s, was %s", asJSON(t, got), asJSON(t, want))
	}
}
