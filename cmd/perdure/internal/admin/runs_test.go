package admin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/pipeline"
)

// registry has one run that works and one that has failed.
func registry() *runs.Registry {
	r := runs.NewRegistry()
	plan := func(run string) pipeline.Plan {
		return pipeline.Plan{Pipeline: "flights", Run: run, Steps: []pipeline.PlanStep{{Name: "load"}, {Name: "train"}}}
	}
	failed := runs.Watch(runs.Begin{Plan: plan("flights-1"), Engine: runs.Inline}, r)
	f := pipeline.NewFailure(errors.New("customer ada"))
	failed.Observe(pipeline.Event{Kind: pipeline.EventStepStarted, At: time.Now(), Step: "load", Attempts: 1})
	failed.Observe(pipeline.Event{Kind: pipeline.EventStepEnded, At: time.Now(), Step: "load", Status: pipeline.StatusFailed, Failure: f, Attempts: 1})
	failed.Observe(pipeline.Event{Kind: pipeline.EventStepEnded, At: time.Now(), Step: "train", Status: pipeline.StatusSkipped})
	failed.End(pipeline.Report{Run: "flights-1", Status: pipeline.StatusFailed}, &pipeline.StepError{Step: "load", Failure: f})
	works := runs.Watch(runs.Begin{Plan: plan("flights-2"), Engine: "dbos", How: runs.Resumed, Try: 2}, r)
	works.Observe(pipeline.Event{Kind: pipeline.EventStepStarted, At: time.Now(), Step: "load", Attempts: 1})
	return r
}

func TestRunsAreRead(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Runs = registry() })
	list := func(query string) (names []string) {
		t.Helper()
		a := f.ask(t, request(http.MethodGet, "/api/runs"+query, ""))
		all, ok := a.json["runs"].([]any)
		if a.status != http.StatusOK || !ok {
			t.Fatalf("/api/runs%s = %d %s", query, a.status, a.body)
		}
		for _, one := range all {
			run, _ := one.(map[string]any)
			name, _ := run["run"].(string)
			names = append(names, name)
		}
		return names
	}
	for query, want := range map[string]string{
		"": "flights-2 flights-1", "?limit=1": "flights-2", "?status=failed": "flights-1", "?pipeline=flights&status=running": "flights-2", "?pipeline=other": "",
	} {
		if got := strings.Join(list(query), " "); got != want {
			t.Errorf("/api/runs%s has %q, want %q", query, got, want)
		}
	}
	a := f.ask(t, request(http.MethodGet, "/api/runs/flights-1", ""))
	run, _ := a.json["run"].(map[string]any)
	steps, _ := run["steps"].([]any)
	if a.status != http.StatusOK || run["status"] != "failed" || len(steps) != 2 || strings.Contains(a.body, "ada") {
		t.Errorf("the run that failed: %d %s", a.status, a.body)
	}
	if failure, _ := run["failure"].(map[string]any); failure["step"] != "load" {
		t.Errorf("failure = %v, want the step", failure)
	}
	a = f.ask(t, request(http.MethodGet, "/api/runs/flights-2", ""))
	if run, _ = a.json["run"].(map[string]any); run["how"] != "resumed" || run["try"] != 2.0 || run["current_step"] != "load" {
		t.Errorf("the run that works: %s", a.body)
	}
	for path, want := range map[string]string{
		"/api/runs/nothing": "unknown_run", "/api/runs?limit=0": "bad_limit", "/api/runs?limit=x": "bad_limit", "/api/runs?limit=1001": "bad_limit",
	} {
		if a := f.ask(t, request(http.MethodGet, path, "")); a.json["code"] != want {
			t.Errorf("%s: %s, want the code %s", path, a.body, want)
		}
	}
	if a := newFixture(t, nil).ask(t, request(http.MethodGet, "/api/runs/x", "")); a.json["code"] != "unknown_run" {
		t.Errorf("without runs: %s", a.body)
	}
}
