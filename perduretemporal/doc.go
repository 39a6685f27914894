// Package perduretemporal runs pipelines on Temporal: an existing cluster keeps
// what has happened, and workers on any number of machines do the steps.
//
// [Open] connects to the cluster. The [Engine] that it returns is a
// [pipeline.Durable]: Run starts a run and waits for its end, from any process.
// A [Worker] does the work. It needs the same connection, and a [pipeline.Env]
// like that of every other worker of its task queue: the same components, and the same
// definitions for plans whose steps are functions.
//
//	e, err := perduretemporal.Open(ctx, perduretemporal.Config{HostPort: "temporal.internal:7233"})
//	…
//	w, err := perduretemporal.NewWorker(e, perduretemporal.WorkerConfig{Env: env})
//	…
//	err = w.Run(ctx) // until ctx ends
//
// # How a run becomes a workflow
//
// A run is a workflow of type "perdure.run" whose ID is the name of the run. It
// decides with [pipeline.RunPlan], as every other engine does, and each task is
// an activity. A try of the run is one execution of the workflow (or several, see Limits): the first that
// succeeds is the last. A task that fails ends its activity well: the failure is data, and
// only the step's own attempts say whether it is tried again. Its wait is a
// timer of Temporal, during which no worker holds anything.
//
// # Invariants
//
//   - A task is repeated by Temporal without limit when its worker is lost, and
//     never because it failed.
//   - A worker that cannot tell the server that it is alive cancels its tasks
//     when the server has given them to another. Until then, and should it be
//     frozen, two workers may run a task: effects with a key ([pipeline.Key]) happen once all the same.
//   - What the workflow does depends on its input and on what the activities
//     returned, in their order, and on nothing else. Recorded histories are replayed by the tests.
//   - The plan of a run is in the workflow's input, and is never read again from a file.
//   - Secrets are read by the worker, in the activity. Temporal never sees them.
//
// # Limits
//
// Temporal passes on 2 MiB at once. Outputs and failures of a run, compressed,
// may therefore have 1.5 MiB together; the step whose output is too much fails
// and says so. A long history is continued in a new execution of the workflow (after 4,096 events, by
// the server's default), for which the tasks at work are waited for; nothing that ended is run again. At most
// 1,000 tasks of a run are at work at once. Payloads above 16 KiB are compressed ("binary/zlib").
package perduretemporal
