package otelpipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdureotel"
	"github.com/perdure/perdure/perdureotel/otelpipeline"
	"github.com/perdure/perdure/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "SECRET-of-a-row"

// sqlError is an error of a server, with a text that must never be shown.
type sqlError string

func (e sqlError) Error() string    { return secret }
func (e sqlError) SQLState() string { return string(e) }

// tree is the spans as lines of "parent > name key=value …", sorted.
func tree(all tracetest.SpanStubs) (out []string) {
	names := map[string]string{}
	for _, s := range all {
		names[s.SpanContext.SpanID().String()] = s.Name
	}
	for _, s := range all {
		line := names[s.Parent.SpanID().String()] + " > " + s.Name
		for _, kv := range s.Attributes {
			switch kv.Key {
			case otelpipeline.StatusKey, otelpipeline.ItemKey, perdureotel.AttemptKey, "error.type":
				line += fmt.Sprintf(" %s=%s", strings.TrimPrefix(string(kv.Key), "perdure."), kv.Value.String())
			}
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func TestARunIsATraceOfItsSteps(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tp := trace.NewTracerProvider(trace.WithSyncer(exporter))
	m, err := perdure.New(perdure.Config{Name: "warehouse"})
	if err != nil {
		t.Fatal(err)
	}
	stop, err := perdureotel.Instrument(m, perdureotel.Config{TracerProvider: tp})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	call := func(ctx context.Context, err error) error {
		return m.Do(ctx, perdure.Op{Name: "rows.load"}, func(context.Context) error { return err })
	}
	d := pipeline.Definition{Name: "flights", Parallel: 1, Steps: []pipeline.Step{
		{Name: "load", Do: func(ctx context.Context, _ pipeline.Input) (any, error) { return nil, call(ctx, nil) }},
		{
			Name: "each", Needs: []string{"load"},
			Items: func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
				return []pipeline.Item{{Name: secret, Value: json.RawMessage("1")}, {Name: "b", Value: json.RawMessage("2")}}, nil
			},
			Do: func(ctx context.Context, _ pipeline.Input) (any, error) { return nil, call(ctx, nil) },
		},
		{Name: "fails", Needs: []string{"each"}, Do: func(ctx context.Context, _ pipeline.Input) (any, error) {
			return nil, call(ctx, sqlError("22P02"))
		}},
		{Name: "after", Needs: []string{"fails"}, Do: func(context.Context, pipeline.Input) (any, error) { return nil, errors.New(secret) }},
	}}
	plan, err := d.Freeze("flights-7", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, run := otelpipeline.Start(t.Context(), tp, plan)
	report, err := pipeline.Run(ctx, d, pipeline.Options{Run: plan.Run, Observe: run.Observe, Env: pipeline.Env{Around: run.Around}})
	run.End(report, err)
	if err == nil {
		t.Fatal("no error")
	}
	all := exporter.GetSpans()
	want := []string{
		" > run flights status=failed error.type=22P02",
		"run flights > step each status=succeeded",
		"run flights > step fails status=failed error.type=22P02",
		"run flights > step load status=succeeded",
		"step each > task each attempt=1 item=0",
		"step each > task each attempt=1 item=1",
		"step fails > rows.load error.type=22P02",
		"step load > rows.load",
		"task each > rows.load",
		"task each > rows.load",
	}
	if diff := cmp.Diff(want, tree(all)); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	trace := all[0].SpanContext.TraceID()
	for _, s := range all {
		if s.SpanContext.TraceID() != trace {
			t.Errorf("%s is of another trace", s.Name)
		}
	}
	if text := fmt.Sprintf("%+v", all); strings.Contains(text, secret) {
		t.Errorf("the spans show data: %s", text)
	}
}

// TestAWorkerTracesTasks of runs that others decide about, within what the
// engine passed on.
func TestAWorkerTracesTasks(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	tp := trace.NewTracerProvider(trace.WithSyncer(exporter))
	d := pipeline.Definition{Name: "flights", Steps: []pipeline.Step{
		{Name: "load", Do: func(context.Context, pipeline.Input) (any, error) { return 1, nil }},
	}}
	plan, err := d.Freeze("flights-7", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, activity := tp.Tracer("engine").Start(t.Context(), "activity")
	env := pipeline.Env{Around: otelpipeline.Around(tp), Pipeline: func(string) (pipeline.Definition, bool) { return d, true }}
	env.Execute(ctx, plan, pipeline.Task{Run: plan.Run, Step: "load", Attempt: 2})
	activity.End()
	if diff := cmp.Diff([]string{" > activity", "activity > task load attempt=2"}, tree(exporter.GetSpans())); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// TestWithoutAProviderNothingIsTraced and nothing breaks.
func TestWithoutAProviderNothingIsTraced(t *testing.T) {
	ctx, run := otelpipeline.Start(t.Context(), nil, pipeline.Plan{Pipeline: "p", Run: "r"})
	_, end := run.Around(ctx, "p", pipeline.Task{Step: "s", Attempt: 1})
	end(nil)
	run.End(pipeline.Report{}, errors.New("broken"))
}
