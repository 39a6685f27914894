// Command embedded-go runs a pipeline over components of its own, on an engine
// that remembers: kill it at any moment, start it again, and it goes on where it was.
//
//	embedded-go -database-url postgres://localhost/test -state ./state -month 2001-12
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

//go:embed pipeline.yaml
var source []byte

func main() {
	url := flag.String("database-url", os.Getenv("DATABASE_URL"), "the database with the customers")
	state := flag.String("state", "state", "directory in which runs are remembered")
	month := flag.String("month", "", "whose points are given")
	flag.Parse()
	if *month == "" {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // this is main
	defer stop()
	report, err := run(ctx, *url, *state, *month)
	for _, s := range report.Steps {
		fmt.Printf("%-10s %-10s %.60s\n", s.Name, s.Status, s.Output) //nolint:forbidigo // this is main
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "embedded-go:", err)
		os.Exit(1)
	}
}

// run runs the pipeline of a month, or goes on with it. If it has succeeded
// before, its report is returned and nothing is done.
func run(ctx context.Context, url, state, month string) (_ pipeline.Report, err error) {
	// 1. The components, with their configurations.
	database, err := json.Marshal(CustomersConfig{URL: url})
	if err != nil {
		return pipeline.Report{}, err
	}
	loader, err := component.New(component.Config{
		Factories: factories(),
		Components: []component.Spec{
			{Name: "customers", Config: database},
			{Name: "points", Config: json.RawMessage(`{"each": 10}`)},
		},
	})
	if err != nil {
		return pipeline.Report{}, err
	}

	// 2. The pipeline, checked against their methods, and the plan of this run.
	definition, err := pipeline.Parse("pipeline.yaml", source, pipeline.MethodsOf(loader, nil))
	if err != nil {
		return pipeline.Report{}, err
	}
	values, err := definition.Values(map[string]json.RawMessage{"month": fmt.Appendf(nil, "%q", month)})
	if err != nil {
		return pipeline.Report{}, err
	}
	name, err := definition.RunID(values)
	if err != nil {
		return pipeline.Report{}, err
	}
	plan, err := definition.Freeze(name, values)
	if err != nil {
		return pipeline.Report{}, err
	}

	// 3. The components run, in the order of their needs, and the engine.
	if err := loader.Start(ctx); err != nil {
		return pipeline.Report{}, err
	}
	defer func() { err = errors.Join(err, loader.Stop(context.WithoutCancel(ctx))) }()
	engine, err := perduredbos.Open(ctx, perduredbos.Config{Dir: state, Env: pipeline.Env{Invoker: loader}})
	if err != nil {
		return pipeline.Report{}, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return engine.Run(ctx, plan, pipeline.DurableOptions{})
}
