// Package breaker is a circuit breaker that learns what is normal: it notices
// trouble by a sequential test instead of a fixed threshold, and lets work come
// back slowly after it.
//
// # States
//
// A [Breaker] is closed (calls pass), open (calls are refused), or half-open
// (a few calls pass, to find out). After half-open it is closed again, but for
// RampFor the calls in flight are limited: that time is called the ramp. A
// person may hold a breaker open or closed.
//
//	        threshold crossed, Trip
//	closed ────────────────────────▶ open ◀─────────┐
//	  ▲                               │ OpenFor over │ a probe failed,
//	  │ SuccessThreshold successes    ▼ or HalfOpen  │ Trip
//	  └────────────────────────── half-open ────────┘
//
// # Invariants
//
//  1. A result counts only in the generation in which its call was admitted.
//     Every change of state and every hold begins a new generation. (A success
//     that is being reported at the very moment of the change may still be added
//     to the counter; the test then has one success too many, no more.)
//  2. A closed breaker outside the ramp admits everything, without a lock, a
//     clock or an allocation; an open one admits nothing.
//  3. Half-open never has more than 1 + (successes so far) unexpired probes:
//     1, then 2, then 4 when those two succeed. The ramp starts with
//     1 + SuccessThreshold calls in flight and doubles eight times in RampFor.
//  4. Half-open cannot stick: a probe that is not reported within its lease
//     loses its place to the next caller. Leases double with each such loss, so
//     that an operation that outlasts ProbeLease can still close the breaker.
//  5. The ramp ends by time alone. A call that hangs cannot hold it.
//  6. Time alone never closes a breaker, and never opens one. Only a failure
//     can open it (or a slow success, or a person, or the owner), only
//     successes can close it.
//  7. A failure in half-open opens the breaker for twice as long as before, up
//     to MaxOpenFor; each MaxOpenFor spent closed takes one doubling back. In
//     the ramp every rule needs only about half its usual evidence.
//  8. A held breaker changes by nothing but [Breaker.Release], another hold, or
//     [Breaker.Restore].
//  9. The baseline is learned from closed, calm calls only: what happens in an
//     excursion of the test that reaches its limit is never learned.
//  10. Hooks run outside the lock, one at a time for one breaker, in the order of the changes.
//
// # Speed
//
// A success of a closed breaker is one atomic addition. It is enough, because
// successes cannot trip: the test is brought up to date at the next failure,
// from the number of successes since the last one.
package breaker
