package component

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/health"
)

// database is the name of a Manager's breaker for its database.
const database = "database"

// Retry returns the factory of the component "retry": m itself, with methods to
// read what it knows (breakers, operations, metrics) and to hold its breakers
// (hold-open, hold-closed, release). Components that need it get a
// *perdure.Manager. It neither starts nor closes m. For several Managers give
// the factories other names.
//
// Its check warns while the database's breaker is not closed: see health.Breaker.
func Retry(m *perdure.Manager) Factory {
	r := retryMethods{m}
	f := Factory{
		Name: "retry",
		Doc:  "The retry manager of a database: its breakers, its counters, and holds for maintenance.",
		Methods: []Callable{
			Method("breakers", r.readBreakers).With(Options{Doc: "The state of each breaker."}),
			Method("operations", r.readOperations).With(Options{Doc: "What became of the calls of each operation."}),
			Method("metrics", r.readMetrics).With(Options{Doc: "The counters of the manager as a whole."}),
			Method("hold-open", r.holdOpen).With(Options{Doc: "Refuse all calls of an operation until release."}),
			Method("hold-closed", r.holdClosed).With(Options{Doc: "Let all calls of an operation pass until release."}),
			Method("release", r.release).With(Options{Doc: "End a hold."}),
		},
		Maker: Make(func(context.Context, Deps, struct{}) (*perdure.Manager, error) {
			if m == nil {
				return nil, errors.New("the manager is nil")
			}
			return m, nil
		}),
	}
	if m != nil {
		f.Check = health.Breaker(database, func() health.BreakerState {
			s := m.Breaker(database).Snapshot()
			return health.BreakerState{State: s.State.String(), Held: s.Held != 0}
		}).Run
	}
	return f
}

// retryBreaker is what the methods of the component "retry" say of a breaker.
type retryBreaker struct {
	Operation string     `json:"operation" jsonschema:"the name of the operation; database for the database's"`
	State     string     `json:"state" jsonschema:"closed, half_open or open"`
	Held      string     `json:"held,omitempty" jsonschema:"open or closed, if a person holds it there"`
	Reason    string     `json:"reason,omitempty" jsonschema:"of the last change"`
	Successes uint64     `json:"successes"`
	Failures  uint64     `json:"failures"`
	NextProbe *time.Time `json:"next_probe,omitempty"`
}

// retryBreakers is the output of the method breakers: the database's, then those of
// the operations by name.
type retryBreakers struct {
	Manager  string         `json:"manager"`
	Breakers []retryBreaker `json:"breakers"`
}

// holdInput is the input of hold-open and hold-closed.
type holdInput struct {
	Operation string `json:"operation" jsonschema:"the name of the operation; database for the database's"`
	Reason    string `json:"reason" jsonschema:"why, for whoever finds it held"`
}

// releaseInput is the input of release.
type releaseInput struct {
	Operation string `json:"operation" jsonschema:"the name of the operation; database for the database's"`
}

// retryMethods are the methods of the component "retry".
type retryMethods struct{ m *perdure.Manager }

func (r retryMethods) readBreakers(_ context.Context, _ struct{}) (retryBreakers, error) {
	s := r.m.Snapshot()
	out := retryBreakers{Manager: s.Name, Breakers: []retryBreaker{}}
	one, err := r.readBreaker(database)
	if err != nil {
		return retryBreakers{}, err
	}
	out.Breakers = append(out.Breakers, one)
	for i := range s.Operations {
		if s.Operations[i].Breaker == nil {
			continue
		}
		if one, err = r.readBreaker(s.Operations[i].Name); err != nil {
			return retryBreakers{}, err
		}
		out.Breakers = append(out.Breakers, one)
	}
	return out, nil
}

// readBreaker reads one breaker; the error of one that does not exist lists
// those that do.
func (r retryMethods) readBreaker(operation string) (retryBreaker, error) {
	b := r.m.Breaker(operation)
	if b == nil {
		names := []string{database}
		for _, o := range r.m.Snapshot().Operations {
			if o.Breaker != nil {
				names = append(names, o.Name)
			}
		}
		return retryBreaker{}, fmt.Errorf("there is no breaker %.70q; %s", operation, among(operation, names))
	}
	s := b.Snapshot()
	out := retryBreaker{Operation: operation, State: s.State.String(), Reason: s.Reason, Successes: s.Successes, Failures: s.Failures}
	if s.Held != 0 {
		out.Held = s.Held.String()
	}
	if !s.NextProbe.IsZero() {
		out.NextProbe = &s.NextProbe
	}
	return out, nil
}

func (r retryMethods) holdOpen(_ context.Context, in holdInput) (retryBreaker, error) {
	if b := r.m.Breaker(in.Operation); b != nil {
		b.HoldOpen(in.Reason)
	}
	return r.readBreaker(in.Operation)
}

func (r retryMethods) holdClosed(_ context.Context, in holdInput) (retryBreaker, error) {
	if b := r.m.Breaker(in.Operation); b != nil {
		b.HoldClosed(in.Reason)
	}
	return r.readBreaker(in.Operation)
}

func (r retryMethods) release(_ context.Context, in releaseInput) (retryBreaker, error) {
	if b := r.m.Breaker(in.Operation); b != nil {
		b.Release()
	}
	return r.readBreaker(in.Operation)
}
