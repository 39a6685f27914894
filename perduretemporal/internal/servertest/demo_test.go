//go:build temporal && unix

package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// demo is a component whose methods do what a test wants to see.
type demo struct {
	mu    sync.Mutex
	calls map[string]int
	freed bool          // steps hold no more
	held  chan struct{} // told when a step holds
}

func newDemo() *demo { return &demo{calls: make(map[string]int), held: make(chan struct{}, 100)} }

// free lets the steps that hold end well when they are run again.
func (d *demo) free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.freed = true
}

type demoInput struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
	Fails int             `json:"fails"` // so many times
}

// Invoke returns the value, fails, or holds until its context ends.
func (d *demo) Invoke(ctx context.Context, _, method string, raw json.RawMessage) (json.RawMessage, error) {
	var in demoInput
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.calls[in.Name]++
	n, freed := d.calls[in.Name], d.freed
	d.mu.Unlock()
	switch {
	case method == "hold" && !freed:
		pipeline.Progress(ctx, 3, 9)
		d.held <- struct{}{}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	case n <= in.Fails:
		return nil, pipeline.RetryAt(fmt.Errorf("%s: not yet", in.Name), time.Now().Add(50*time.Millisecond))
	case method == "break" && n == 1:
		return nil, errors.New("the disk is full")
	}
	return in.Value, nil
}

func (d *demo) count(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[name]
}

func step(name, method, with string, needs ...string) pipeline.Step {
	if with == "" {
		with = `{"name":"` + name + `"}`
	}
	return pipeline.Step{Name: name, Uses: "demo." + method, With: json.RawMessage(with), Needs: needs, Attempts: 5}
}

func plan(t *testing.T, run string, params any, steps ...pipeline.Step) pipeline.Plan {
	t.Helper()
	d := pipeline.Definition{Name: "demo", Steps: steps}
	if params != nil {
		d.Params = []pipeline.Param{{Name: "list", Type: "list"}}
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := d.Freeze(run, params)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// workIn runs a worker in this process until the test ends, or stop is called.
func workIn(t *testing.T, e *perduretemporal.Engine, d *demo) (stop func()) {
	t.Helper()
	w, err := perduretemporal.NewWorker(e, perduretemporal.WorkerConfig{Env: pipeline.Env{Invoker: d}, Drain: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Run of the worker = %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
