package component

import (
	"context"

	"github.com/perdure/perdure/health"
)

// Checks returns a health check for each component that the program uses, for
// health.Config: it fails while the component does not run, and otherwise does
// what the value's Check does, if it is a [Checker]. It follows the checks of
// what the component needs: while one of these fails, it is unknown because of
// that one, not another failure.
func (l *Loader) Checks() []health.Check {
	var checks []health.Check
	for _, name := range l.with(l.listed()) {
		u := l.units[name]
		checks = append(checks, health.Check{Name: name, After: u.needs, Run: u.check})
	}
	return checks
}

// check asks a component whether it is all right.
func (u *unit) check(ctx context.Context) error {
	value, _, _, err := u.enter()
	if err != nil {
		return err
	}
	defer u.leave()
	if c, ok := value.(Checker); ok {
		return c.Check(ctx)
	}
	if u.factory.Check != nil {
		return u.factory.Check(ctx)
	}
	return nil
}
