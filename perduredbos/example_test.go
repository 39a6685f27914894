package perduredbos_test

import (
	"context"
	"fmt"
	"os"

	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

// A run that has succeeded is remembered: the second start does nothing, and
// has the first one's report.
func ExampleEngine_Run() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "runs-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }() // nothing depends on it
	d := pipeline.Definition{Name: "greet", Steps: []pipeline.Step{{
		Name: "hello",
		Do: func(context.Context, pipeline.Input) (any, error) {
			fmt.Println("at work")
			return "hello", nil
		},
	}}}
	plan, err := d.Freeze("greet-1", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	env := pipeline.Env{Pipeline: func(name string) (pipeline.Definition, bool) { return d, name == d.Name }}

	e, err := perduredbos.Open(ctx, perduredbos.Config{Dir: dir, Env: env})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = e.Close() }() // nothing runs any more
	for range 2 {
		report, err := e.Run(ctx, plan, pipeline.DurableOptions{})
		fmt.Println(report.Status, string(report.Steps[0].Output), err)
	}
	// Output:
	// at work
	// succeeded "hello" <nil>
	// succeeded "hello" <nil>
}
