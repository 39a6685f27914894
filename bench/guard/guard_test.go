package guard_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/bench/guard"
)

// conflict is an error that all of them repeat.
type conflict struct{}

func (conflict) Error() string    { return "could not serialize access" }
func (conflict) SQLState() string { return "40001" }

// guarded is a test of one candidate's guard.
type guarded struct {
	*testing.T
	guard.Guard

	c guard.Candidate
}

// made runs f for every candidate, made anew, on fake time.
func made(t *testing.T, s guard.Settings, f func(g guarded)) {
	t.Helper()
	groups := map[string][]guard.Candidate{"": guard.Candidates(), "alone/": guard.Retriers(), "breaker/": guard.Breakers(), "limited/": guard.Limited()}
	for group, candidates := range groups {
		for _, c := range candidates {
			t.Run(group+c.Name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, closed, err := c.New(t.Context(), s)
					if err != nil {
						t.Fatal(err)
					}
					f(guarded{t, g, c})
					if err := closed(); err != nil {
						t.Errorf("closing: %v", err)
					}
				})
			})
		}
	}
}

func TestASuccessIsCalledOnceUnderTheCallersContext(t *testing.T) {
	type key struct{}
	made(t, guard.Settings{}, func(g guarded) {
		called := 0
		err := g.Do(context.WithValue(g.Context(), key{}, 1), func(ctx context.Context) error {
			if called++; ctx.Value(key{}) != 1 {
				g.Error("the work has another context")
			}
			return nil
		})
		if err != nil || called != 1 {
			g.Errorf("Do() = %v after %d calls, want success at once", err, called)
		}
	})
}

func TestAFailureIsTriedThreeTimes(t *testing.T) {
	for name, s := range map[string]guard.Settings{"as it is": {}, "tolerant": {Tolerant: true}, "with delays": {Delay: time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			made(t, s, func(g guarded) {
				tries, start := 0, time.Now()
				err := g.Do(g.Context(), func(context.Context) error { tries++; return conflict{} })
				want := 1
				if g.c.Retries {
					want = guard.Attempts
				}
				if tries != want || !errors.As(err, new(conflict)) {
					g.Errorf("Do() = %v after %d tries, want the failure after %d", err, tries, want)
				}
				waited := time.Since(start)
				if s.Delay == 0 && waited != 0 {
					g.Errorf("it waited for %s, want no delay", waited)
				}
				if s.Delay > 0 && g.c.Retries && (waited == 0 || waited > 8*s.Delay) {
					g.Errorf("it waited for %s, want two delays that grow from %s with jitter", waited, s.Delay)
				}
			})
		})
	}
}

func TestASecondTrySucceeds(t *testing.T) {
	made(t, guard.Settings{}, func(g guarded) {
		tries := 0
		err := g.Do(g.Context(), func(context.Context) error {
			if tries++; tries == 1 {
				return conflict{}
			}
			return nil
		})
		if g.c.Retries && (err != nil || tries != 2) {
			g.Errorf("Do() = %v after %d tries, want success after 2", err, tries)
		}
	})
}

func TestAnOpenBreakerRefusesAndIsNotRetried(t *testing.T) {
	made(t, guard.Settings{Open: true, Delay: time.Second}, func(g guarded) {
		called, start := 0, time.Now()
		err := g.Do(g.Context(), func(context.Context) error { called++; return nil })
		switch {
		case !g.c.HasBreaker:
			if err != nil || called != 1 {
				g.Errorf("Do() = %v after %d calls, want success", err, called)
			}
		case err == nil || called != 0 || time.Since(start) != 0:
			g.Errorf("Do() = %v after %d calls and %s, want a refusal at once", err, called, time.Since(start))
		}
	})
}

func TestATolerantBreakerStaysClosed(t *testing.T) {
	made(t, guard.Settings{Tolerant: true}, func(g guarded) {
		for range 1000 {
			_ = g.Do(g.Context(), func(context.Context) error { return conflict{} })
		}
		called := 0
		if err := g.Do(g.Context(), func(context.Context) error { called++; return nil }); err != nil || called != 1 {
			g.Errorf("after 3,000 failures: %v after %d calls, want success", err, called)
		}
	})
}

// TestWhoHonoursTheCallersCancel says of which guards a caller that cancels does not open the breaker.
func TestWhoHonoursTheCallersCancel(t *testing.T) {
	opened := map[string]bool{"backoff + gobreaker": true, "gobreaker": true}
	made(t, guard.Settings{}, func(g guarded) {
		for range 50 {
			ctx, cancel := context.WithCancel(g.Context())
			_ = g.Do(ctx, func(ctx context.Context) error { cancel(); return ctx.Err() })
		}
		err := g.Do(g.Context(), func(context.Context) error { return nil })
		if refused := err != nil; refused != opened[g.c.Name] {
			g.Errorf("after 50 callers that cancelled: %v, want refused = %v", err, opened[g.c.Name])
		}
	})
}

func TestFailsafeBudgetBoundsRepeatsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard.NewFailsafeBudget(guard.Settings{Delay: time.Millisecond}, false)
		tries := make(chan int, 100)
		for range 100 {
			go func() {
				n := 0
				_ = g.Do(t.Context(), func(ctx context.Context) error {
					n++
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
					return conflict{}
				})
				tries <- n
			}()
		}
		sum := 0
		for range 100 {
			sum += <-tries
		}
		if sum <= 100 || sum >= 200 {
			t.Errorf("100 calls made %d attempts, want some repeats, and less than one for each", sum)
		}
	})
}
