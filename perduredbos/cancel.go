package perduredbos

import (
	"context"
	"errors"
	"log/slog"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
)

// Cancel ends a run. A process that is at work on it notices within Config.Poll, or
// when the next task ends; nothing is remembered of it from the moment that Cancel returns.
func (e *Engine) Cancel(ctx context.Context, run string) error {
	r, err := e.newest(ctx, run, false)
	if err != nil {
		return err
	}
	if r == nil {
		return noRun(run)
	}
	if r.over() {
		return nil
	}
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	err = dbos.CancelWorkflow(c, r.id())
	switch {
	case errors.Is(err, dbos.ErrNonExistentWorkflow):
		return noRun(run)
	case err != nil:
		return e.state.fault(err)
	}
	e.log.InfoContext(ctx, "run canceled", slog.String("run", run))
	return nil
}
