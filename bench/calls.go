package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/guard"
	"github.com/perdure/perdure/bench/measure"
)

// ConflictError is an error as a driver's for 40001: an answer of a server that
// works, and worth a repeat.
type ConflictError struct{}

// Error says what PostgreSQL says.
func (ConflictError) Error() string { return "could not serialize access" }

// SQLState is as pgconn.PgError's.
func (ConflictError) SQLState() string { return "40001" }

var errNotRefused = errors.New("an open breaker did not refuse") //nolint:gochecknoglobals // a sentinel

// callCase is one thing that a call can come to.
type callCase struct {
	title    string
	parallel bool
	settings guard.Settings
	guards   []guard.Candidate // perdure is the second
	work     guard.Work
	right    func(err error) error // what is wrong with the call's end
}

func callCases() []callCase {
	conflict := error(ConflictError{})
	succeed := func(context.Context) error { return nil }
	fail := func(context.Context) error { return conflict }
	refuse, repeat := slices.DeleteFunc(guard.Candidates(), func(c guard.Candidate) bool { return !c.HasBreaker }),
		slices.DeleteFunc(guard.Candidates(), func(c guard.Candidate) bool { return !c.Retries })
	same := func(err error) error { return err }
	failed := func(err error) error {
		if err == nil {
			return errors.New("a call that fails three times succeeded")
		}
		return nil
	}
	cores := runtime.GOMAXPROCS(0)
	return []callCase{
		{title: "Retry and breaker, success at once, one goroutine", guards: guard.Candidates(), work: succeed, right: same},
		{title: fmt.Sprintf("Retry and breaker, success at once, %d goroutines on one guard", cores), parallel: true, guards: guard.Candidates(), work: succeed, right: same},
		{title: "Retry alone, success at once", guards: guard.Retriers(), work: succeed, right: same},
		{title: "Breaker alone, success at once", guards: guard.Breakers(), work: succeed, right: same},
		{title: "Retry, breaker and a time limit for each attempt, success at once", guards: guard.Limited(), work: succeed, right: same},
		{
			title: "Refused by an open breaker", settings: guard.Settings{Open: true}, guards: refuse, work: succeed,
			right: func(err error) error {
				if err == nil {
					return errNotRefused
				}
				return nil
			},
		},
		{title: "Refused by an open breaker, breaker alone", settings: guard.Settings{Open: true}, guards: guard.Breakers()[1:], work: succeed, right: func(err error) error {
			if err == nil {
				return errNotRefused
			}
			return nil
		}},
		{title: "Three failures without delay", settings: guard.Settings{Tolerant: true}, guards: repeat, work: fail, right: failed},
		{title: "Three failures without delay, retry alone", guards: guard.Retriers()[1:], work: fail, right: failed},
	}
}

// Calls measures what a guarded call costs, one table for each case.
func Calls(ctx context.Context, p measure.Plan) (tables []figure.Section, err error) {
	for _, cs := range callCases() {
		t, err := cs.measure(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cs.title, err)
		}
		tables = append(tables, figure.Section{Title: cs.title, Table: t})
	}
	return tables, nil
}

func (cs callCase) measure(ctx context.Context, p measure.Plan) (t *figure.Table, err error) {
	p.Workers = 1
	if cs.parallel {
		p.Workers = runtime.GOMAXPROCS(0)
	}
	var contenders []measure.Contender
	reference := -1
	for _, c := range cs.guards {
		g, closed, err := c.New(ctx, cs.settings)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		defer func() { err = errors.Join(err, closed()) }()
		if reference < 0 && strings.HasPrefix(c.Name, "perdure") {
			reference = len(contenders)
		}
		contenders = append(contenders, measure.Contender{Name: c.Name, Run: func(n int) error {
			for range n {
				if err := cs.right(g.Do(ctx, cs.work)); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	costs, err := measure.Costs(p, contenders, reference)
	if err != nil {
		return nil, err
	}
	t = &figure.Table{Head: []string{"guard", "ns a call", "ns of CPU", "± quartile", "B", "allocs", "against perdure"}}
	for _, c := range costs {
		t.Add(c.Name, figure.Number(c.Nanos), figure.Number(c.CPU), fmt.Sprintf("%.0f %%", 100*c.Spread), fmt.Sprintf("%.0f", c.Bytes), fmt.Sprintf("%.0f", c.Allocs), figure.Times(c.Ratio))
	}
	return t, nil
}
