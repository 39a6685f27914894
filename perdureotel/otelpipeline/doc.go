// Package otelpipeline shows the runs of pipelines as OpenTelemetry traces: a
// span for the run, one for each of its steps, and under a step one for each item and
// for each try after the first. Guarded calls within a task, which package
// perdureotel shows, are children of these: one trace leads from a run to the
// statement that it waited for.
//
//	ctx, run := otelpipeline.Start(ctx, tracerProvider, plan)
//	report, err := pipeline.RunPlan(ctx, plan, pipeline.Options{
//		Observe: run.Observe, Env: pipeline.Env{Around: run.Around, …},
//	})
//	run.End(report, err)
//
// It is a package of its own so that who traces calls alone links no pipelines.
//
// A worker that runs tasks of runs which another process decides about has no
// run to start: it gives Around of its own to its Env, see [Around].
//
// # What it never shows
//
// No parameter, no output, no name of an item, and of a failure its SQLSTATE
// and reason alone. docs/opentelemetry.md lists every name.
package otelpipeline
