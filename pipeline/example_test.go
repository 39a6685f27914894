package pipeline_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/perdure/perdure/pipeline"
)

func ExampleRun() {
	d := pipeline.Definition{
		Name: "squares",
		Steps: []pipeline.Step{
			{
				Name: "square",
				Items: func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
					return []pipeline.Item{{Name: "three", Value: json.RawMessage("3")}, {Name: "four", Value: json.RawMessage("4")}}, nil
				},
				Do: func(_ context.Context, in pipeline.Input) (any, error) {
					var n int
					err := json.Unmarshal(in.Item, &n)
					return n * n, err
				},
			},
			{
				Name: "sum", Needs: []string{"square"},
				Do: func(_ context.Context, in pipeline.Input) (any, error) {
					var squares []int
					err := in.Output("square", &squares)
					total := 0
					for _, n := range squares {
						total += n
					}
					return total, err
				},
			},
		},
	}
	report, err := pipeline.Run(context.Background(), d, pipeline.Options{Run: "run-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range report.Steps {
		fmt.Println(s.Name, s.Status, string(s.Output))
	}
	// Output:
	// square succeeded [9,16]
	// sum succeeded 25
}

// The key of an effect says where it belongs, and is the same when another
// process runs the step again.
func ExampleKey() {
	d := pipeline.Definition{Name: "load", Steps: []pipeline.Step{{
		Name: "insert",
		Items: func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
			return []pipeline.Item{{Name: "batch-3"}}, nil
		},
		Do: func(ctx context.Context, _ pipeline.Input) (any, error) {
			// perdurepgx.Once(ctx, db, op, pipeline.Key(ctx, "rows"), …)
			fmt.Println(pipeline.Key(ctx, "rows"))
			return nil, nil
		},
	}}}
	if _, err := pipeline.Run(context.Background(), d, pipeline.Options{Run: "run-7"}); err != nil {
		fmt.Println(err)
	}
	// Output: run-7/insert/batch-3/rows
}

// A file is checked as a whole before anything runs: every fault, with its place.
func ExampleParse() {
	_, err := pipeline.Parse("orders.yaml", []byte(`
name: orders
steps:
  - name: load
    uses: sql.copy
    tiemout: 10m
  - name: sum
    uses: sql.exec
    needs: [laod]
`), nil)
	fmt.Println(err)
	// Output:
	// orders.yaml:6:5: steps[0](load).tiemout: unknown key; did you mean "timeout"?
	// orders.yaml:9:13: steps[1](sum).needs[0]: no step is named "laod"; did you mean "load"?
}
