// Package perdure is a retry manager for PostgreSQL work: database work
// finishes exactly once, or perdure says exactly what is not known.
//
// A [Manager] guards one database. Work is an [Op] and a func:
//
//	m, err := perdure.New(perdure.Config{Name: "warehouse"})
//	defer m.Close(ctx)
//	var refresh = perdure.Op{Name: "stats.refresh", Idempotent: true}
//	err = m.Do(ctx, refresh, func(ctx context.Context) error { … })
//
// # The rule of repeating
//
// Retry lives where the knowledge lives.
//
//   - [Manager.Do] and [Get] cannot know what the func did, so they repeat only an operation that is
//     Idempotent or ReadOnly. Any other gets one attempt; its error says why it was not repeated.
//   - A guarded statement or transaction (package perdurepgx) knows what the server did, and repeats
//     by that.
//   - An error without a verdict is not repeated. Mark your own with [Transient] or [RetryAfter], or
//     give Config.Classify.
//   - The innermost guard repeats: an *[Error] of the same Manager is never repeated by an outer call.
//   - While a transaction is open, nothing inside it repeats or parks.
//
// # Invariants
//
//  1. A call is begun at most Policy.MaxAttempts times, parking aside.
//  2. Every permit that a breaker gave is returned exactly once, whatever fn does.
//  3. A caller that cancels its own context is neither a success nor a failure of anything.
//  4. An attempt is evidence at most once: for the database, or for the operation.
//  5. The last error of the operation is never lost: errors.Is finds it in whatever a call returns.
//  6. Repeats in any second ≤ max(floor, ratio × calls), contention aside.
//  7. A call waits only for its context, a breaker, the budget or a delay, and each of these waits
//     ends when the context or the Manager does.
//  8. A call that succeeds at once takes no lock and allocates nothing.
package perdure
