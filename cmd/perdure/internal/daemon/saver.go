package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/state"
	"github.com/perdure/perdure/health"
)

// saver keeps the state of the breakers in the state directory.
type saver struct {
	dir      *state.Dir
	managers []*perdure.Manager
	log      *slog.Logger
	changed  chan struct{} // holds one: something is to be saved

	mu   sync.Mutex // guards the field below
	last error      // of the last save
}

func newSaver(dir *state.Dir, managers []*perdure.Manager, log *slog.Logger) *saver {
	return &saver{dir: dir, managers: managers, log: log, changed: make(chan struct{}, 1)}
}

func fileOf(m *perdure.Manager) string { return "breakers-" + m.Name() + ".json" }

// restore brings back what was saved. What cannot be read is set aside, and
// said: a process that would not start for it would be worse off than one that
// has forgotten.
func (s *saver) restore(ctx context.Context) {
	for _, m := range s.managers {
		found, aside, err := s.dir.Read(fileOf(m), m.Restore)
		switch {
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "the saved state of the breakers cannot be used: they start closed",
				slog.String("manager", m.Name()), slog.String("file", s.dir.Path(fileOf(m))), slog.String("set_aside_as", aside), slog.Any("error", err))
		case found:
			s.log.LogAttrs(ctx, slog.LevelInfo, "breakers restored", slog.String("manager", m.Name()),
				slog.String("database", m.Breaker("database").State().String()), slog.String("held", m.Breaker("database").Held().String()))
		}
	}
}

// hook asks for a save at each change of a breaker: a hold must survive even if
// the process is killed a second later.
func (s *saver) hook() perdure.Hooks {
	return perdure.Hooks{BreakerChange: func(perdure.BreakerEvent) {
		select {
		case s.changed <- struct{}{}:
		default: // one is asked for already
		}
	}}
}

// run saves every so often, and when a breaker changed, until ctx ends. It says
// once that it cannot, and once that it can again.
func (s *saver) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false // the last time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.changed:
		}
		err := s.save()
		if (err != nil) == failing {
			continue
		}
		if failing = err != nil; failing {
			s.log.LogAttrs(ctx, slog.LevelError, "the state of the breakers is not saved", slog.Any("error", err))
		} else {
			s.log.LogAttrs(ctx, slog.LevelInfo, "the state of the breakers is saved again")
		}
	}
}

// save saves all.
func (s *saver) save() error {
	var faults []error
	for _, m := range s.managers {
		if err := s.dir.Write(fileOf(m), m.Save); err != nil {
			faults = append(faults, fmt.Errorf("manager %s: %w", m.Name(), err))
		}
	}
	err := errors.Join(faults...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
	return err
}

// check warns while the state is not saved: a restart would forget.
func (s *saver) check() health.Check {
	return health.Check{
		Name: "state", Optional: true, Interval: -1, Fall: 1, Rise: 1,
		Run: func(context.Context) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.last
		},
	}
}
