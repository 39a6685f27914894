// Package runs knows the runs of pipelines of this process while they last and
// for a while after, and those that an engine remembers; and tells what happens
// in them to the audit trail, the log, the metrics and the events.
//
// [Watch] is the one place where a run is tied in: it takes its events in and
// gives nothing out.
//
//	w := runs.Watch(runs.Begin{Plan: plan, Engine: "inline"}, registry, sinks...)
//	report, err := pipeline.RunPlan(ctx, plan, pipeline.Options{Observe: w.Observe, …})
//	w.End(report, err)
//
// # What is kept, and what is not
//
// Names of pipelines, runs and steps; when, how long, how often; of a failure
// what pipeline.Failure.Safe says, which holds no data. Items are counted and
// never named; outputs and parameters are not looked at.
//
// # Bounds
//
// The 50 runs that ended last, or fewer if they have more than 20,000 steps
// together; 100 that are at work; 64 waits of a step.
package runs
