// Package health says whether a program is all right, to the people and the
// machines that ask: checks with dependencies, results that are kept, and the
// handlers for probes.
//
//	h, err := health.New(health.Config{Checks: []health.Check{
//		{Name: "database", Run: health.Breaker(state)},
//		{Name: "migrations", Run: migrated, After: []string{"database"}},
//	}})
//	mux.Handle("/livez", h.Live())
//	mux.Handle("/readyz", h.Ready())
//	mux.Handle("/startupz", h.Startup())
//	mux.Handle("/healthz", h.Report())
//
// # Invariants
//
//  1. Live touches no check: a database that is away never restarts a program.
//  2. A check runs once at a time, whoever asks, and for its timeout at most as
//     far as anybody waits; one that hangs on is not started again.
//  3. A check whose dependency fails is unknown because of that one, not
//     another failure.
//  4. One bad result among good ones changes nothing: a state changes after
//     Check.Fall or Check.Rise results in a row. The first result counts at once.
//  5. What a handler says of an error is what Config.ErrorText makes of it;
//     without one, nothing.
//  6. A program that drains is not ready, whatever its checks say.
//
// Nothing runs by itself: a check is run when somebody asks and its result is
// older than its interval. Asking costs no more than that, however many ask.
package health
