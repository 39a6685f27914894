package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/perdureaudit"
	"github.com/perdure/perdure/redact"
)

// runTrail is the audit trail of a command that runs pipelines: of its runs, and
// of the Manager that guards their work. All its methods do nothing if it is nil.
type runTrail struct {
	trail    *audit.Trail
	recorder *perdureaudit.Recorder
	unhook   func()
	stop     context.CancelFunc
	ended    chan error
}

func addTrailFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "audit-dir", "", "keep an audit trail of the runs, and of what happens to the database, in this directory (default: none is kept)")
}

// openRunTrail begins to write, if a directory is named.
func openRunTrail(ctx context.Context, dir string, m *perdure.Manager) (*runTrail, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	trail, err := audit.Open(audit.Config{Dir: dir, Sanitize: redact.Text})
	if err != nil {
		e := &exitError{code: exitFailed, err: err}
		if errors.Is(err, audit.ErrLocked) {
			e.hint = "a directory of its own for each process that writes: --audit-dir DIR"
		}
		return nil, e
	}
	t := &runTrail{trail: trail, ended: make(chan error, 1)}
	if t.recorder, err = perdureaudit.New(trail, perdureaudit.Config{Manager: m.Name()}); err != nil {
		return nil, errors.Join(err, trail.Close())
	}
	t.unhook = m.AddHooks(t.recorder.Hooks())
	ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { t.ended <- t.recorder.Run(ctx) }()
	return t, nil
}

// sink is told of runs.
func (t *runTrail) sink() runs.Sink {
	if t == nil {
		return nil
	}
	return runs.Audit(t.recorder)
}

// end writes what there is to write. Records that could not be written are an
// error: whoever asked for a trail relies on it.
func (t *runTrail) end() error {
	if t == nil {
		return nil
	}
	t.unhook()
	t.stop()
	err := errors.Join(<-t.ended, t.trail.Close())
	if lost := t.recorder.Stats().Lost(); err == nil && lost > 0 {
		err = errors.New("audit trail: " + thousands(int64(lost)) + " records are not in it") //nolint:gosec // a count
	}
	return err
}
