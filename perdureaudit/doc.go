// Package perdureaudit writes what happens in a perdure.Manager to an audit
// trail: breaker changes and holds, give-ups, and how commits in doubt ended.
//
//	recorder, err := perdureaudit.New(trail, perdureaudit.Config{Manager: "warehouse"})
//	m, err := perdure.New(perdure.Config{Name: "warehouse", Hooks: recorder.Hooks()})
//	go recorder.Run(ctx) // until after m.Close
//
// A hook must not wait for a disk, so records go through a bounded queue to
// [Recorder.Run], which writes all that are there with one fsync. What happens
// when the queue is full differs by how much a record matters:
//
//   - Breaker changes, holds and outcomes of commits in doubt are few. Their hook
//     waits for room, for Config.Wait at most; then the record is dropped.
//   - Give-ups, and work that Once found done, are dropped at once.
//   - Calls that an open breaker refused are never recorded one by one, but counted, by
//     operation, in one record each Config.Every.
//   - Calls that their own context ended did not give up, and are not recorded.
//
// What is dropped is counted in Stats and, as soon as the trail takes records
// again, itself recorded (audit.KindDropped). A process that is killed loses what is in the
// queue: usually that of some milliseconds.
//
// A counter of records that are not on the disk, for an alert, is the sum of
// audit.Stats.Failures and Stats.Dropped.
//
// Whoever must not go on before a record is on the disk calls audit.Trail.Append.
package perdureaudit
