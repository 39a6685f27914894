package sim

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/perdure/perdure/bench/guard"
	"github.com/perdure/perdure/internal/scenario"
)

// Repeater is one policy of repeating.
type Repeater struct {
	// Name is that of the row.
	Name string
	// New makes the guard; it is called on fake time.
	New func(ctx context.Context) (g guard.Guard, closed func() error, err error)
}

// stormSettings are what all policies begin their delays with: perdure's default.
func stormSettings() guard.Settings { return guard.Settings{Delay: 50 * time.Millisecond} }

func plain(g guard.Guard) func(context.Context) (guard.Guard, func() error, error) {
	return func(context.Context) (guard.Guard, func() error, error) { return g, func() error { return nil }, nil }
}

func ofPerdure(s guard.Settings) func(ctx context.Context) (guard.Guard, func() error, error) {
	return func(ctx context.Context) (guard.Guard, func() error, error) {
		p, err := guard.NewPerdure(guard.PerdureConfig(s))
		if err != nil {
			return nil, nil, err
		}
		return p, func() error { return p.Manager.Close(ctx) }, nil
	}
}

// Budgets are the policies without breakers: what their budgets alone do.
func Budgets() []Repeater {
	alone := stormSettings()
	alone.NoBreaker = true
	return []Repeater{
		{"perdure, budget alone", ofPerdure(alone)},
		{"failsafe-go, budget", func(ctx context.Context) (guard.Guard, func() error, error) {
			return plain(guard.NewFailsafeBudget(stormSettings(), false))(ctx)
		}},
		{"naive, three attempts", func(ctx context.Context) (guard.Guard, func() error, error) {
			return plain(guard.NewRetryContext(stormSettings()))(ctx)
		}},
	}
}

// Wholes are the policies with breakers, as they would be used.
func Wholes() []Repeater {
	return []Repeater{
		{"perdure", ofPerdure(stormSettings())},
		{"failsafe-go, budget and breaker", func(ctx context.Context) (guard.Guard, func() error, error) {
			return plain(guard.NewFailsafeBudget(stormSettings(), true))(ctx)
		}},
		{"backoff + gobreaker", func(ctx context.Context) (guard.Guard, func() error, error) {
			return plain(guard.NewComposed(stormSettings()))(ctx)
		}},
	}
}

// Refused is a storm on a server that refuses connections at once.
func Refused(healthy, down time.Duration) scenario.Storm {
	return scenario.Storm{Healthy: healthy, Down: down, Failure: syscall.ECONNREFUSED}
}

// TimedOut is a storm on a server that lets each attempt wait for a second.
func TimedOut(healthy, down time.Duration) scenario.Storm {
	return scenario.Storm{Healthy: healthy, Down: down, Failure: syscall.ETIMEDOUT, FailAfter: time.Second}
}

// Callers are the numbers of callers that are looked at.
func Callers() []int { return []int{1, 2, 5, 10, 20, 50, 100, 200} }

// Stormed is how one policy did, for each number of callers.
type Stormed struct {
	Name string
	// Repeats are the repeats for each call while the server was down.
	Repeats []float64
	// Attempts are all attempts that reached it, for each call.
	Attempts []float64
}

// Storms runs each policy through storm, with each number of callers.
func Storms(run Bubble, policies []Repeater, callers []int, storm scenario.Storm) ([]Stormed, error) {
	var out []Stormed
	first, last := int(storm.Healthy/time.Second), int((storm.Healthy+storm.Down)/time.Second)
	for _, p := range policies {
		s := Stormed{Name: p.Name}
		for _, n := range callers {
			var failed error
			run(func(ctx context.Context) {
				g, closed, err := p.New(ctx)
				if err != nil {
					failed = err
					return
				}
				each := storm
				each.Callers = n
				load := each.Run(ctx, func(ctx context.Context, attempt func(context.Context) error) error { return g.Do(ctx, attempt) })
				failed = closed()
				calls, repeats, tries := load.Calls.Between(first, last), load.Repeats.Between(first, last), load.Tries.Between(first, last)
				s.Repeats = append(s.Repeats, float64(repeats)/float64(calls))
				s.Attempts = append(s.Attempts, float64(repeats+tries)/float64(calls))
			})
			if failed != nil {
				return nil, fmt.Errorf("%s: %w", p.Name, failed)
			}
		}
		out = append(out, s)
	}
	return out, nil
}
