package leaktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/redact"
)

// Channel is a way out of a program. Dump returns all that has left by it so
// far; it is called once, after everything was provoked.
type Channel struct {
	Name string
	Dump func() string
}

// Outlets show what Managers do.
type Outlets interface {
	// Attach begins to show what m does, before m does anything.
	Attach(t *testing.T, m *perdure.Manager)
	// Channels are those over which it was shown. It is called once, after everything was provoked and before
	// the Managers are closed.
	Channels(t *testing.T) []Channel
}

// RunOutlets show also what fails in the runs of pipelines.
type RunOutlets interface {
	Outlets
	// Fails runs a pipeline of which a step fails with err, and whose outputs have its text in them.
	Fails(ctx context.Context, err error)
}

// Outlet collects what is written. It is safe for concurrent use.
type Outlet struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns all that was written.
func (o *Outlet) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Say writes a line.
func (o *Outlet) Say(s string) { _, _ = o.Write([]byte(s + "\n")) }

// ways are the channels of the core.
type ways struct {
	m       *perdure.Manager
	outlets []Outlets

	given    Outlet // texts of *perdure.Error
	said     Outlet // redact.Error of raw errors, bare, wrapped and joined
	managers Outlet // the Manager's Logger
	redacted Outlet // a log through redact.Handler, with errors, SQL and arguments
	hooks    Outlet // hooks' events, as a program that follows the documentation writes them
	raw      Outlet // the control: everything that a careless program prints

	log *slog.Logger
}

// config returns a Manager's configuration with the channels wired in.
func (w *ways) config() perdure.Config {
	w.log = slog.New(redact.Handler(slog.NewJSONHandler(&w.redacted, &slog.HandlerOptions{Level: slog.LevelDebug})))
	return perdure.Config{
		Logger: slog.New(slog.NewTextHandler(&w.managers, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Hooks: perdure.Hooks{
			AttemptEnd: func(_ context.Context, e perdure.AttemptEvent) {
				w.hooks.Say(fmt.Sprint(e.Op, e.Attempt, e.Verdict, e.CorrelationID, " ", redact.Error(e.Err)))
			},
			CallEnd: func(_ context.Context, e perdure.CallEvent) {
				w.hooks.Say(fmt.Sprint(e.Op, e.Attempts, e.Reason, e.Verdict, e.CorrelationID, " ", redact.Error(e.Err)))
				w.failed(e.Err)
			},
			BreakerChange: func(e perdure.BreakerEvent) { w.hooks.Say(fmt.Sprintf("%+v", e)) },
			CommitOutcome: func(_ context.Context, e perdure.OutcomeEvent) { w.hooks.Say(fmt.Sprintf("%+v", e)) },
		},
	}
}

// failed takes the text that perdure gives an error, if it is one of its own.
func (w *ways) failed(err error) {
	if e, ok := errors.AsType[*perdure.Error](err); ok {
		w.given.Say(e.Error() + " " + e.Hint)
	}
}

// caught sends an error that was provoked through every channel.
func (w *ways) caught(ctx context.Context, err error) {
	w.failed(err)
	// What a caller does with it that lets perdure repeat: the text is perdure's then.
	repeated := perdure.Op{Name: "leak.repeat", Idempotent: true}
	w.failed(w.m.Do(ctx, repeated, func(context.Context) error { return perdure.Transient(err) }))
	w.failed(w.m.Do(ctx, repeated, func(context.Context) error { return fmt.Errorf("wrapped: %w", perdure.Transient(err)) }))

	for _, e := range []error{err, fmt.Errorf("%s: %w", err.Error(), err), errors.Join(err, errors.New(err.Error()))} {
		w.said.Say(redact.Error(e))
		w.log.ErrorContext(ctx, "work failed", slog.Any("error", e), slog.Any("args", []any{e.Error()}))
	}
	for _, o := range w.outlets {
		if runs, ok := o.(RunOutlets); ok {
			runs.Fails(ctx, err)
		}
	}
	w.raw.Say(fmt.Sprintf("%v", err))
	for _, e := range flat(err) {
		w.raw.Say(fmt.Sprintf("%+v", e))
		if b, jsonErr := json.Marshal(e); jsonErr == nil {
			w.raw.Say(string(b))
		}
	}
}

// flat returns err and all that it wraps.
func flat(err error) []error {
	all := []error{err}
	switch x := err.(type) { //nolint:errorlint // err alone
	case interface{ Unwrap() error }:
		if e := x.Unwrap(); e != nil {
			all = append(all, flat(e)...)
		}
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			all = append(all, flat(e)...)
		}
	}
	return all
}

// channels are those that must not hold a mark.
func (w *ways) channels(tb testing.TB) []Channel {
	tb.Helper()
	return []Channel{
		{"texts of *perdure.Error", w.given.String},
		{"redact.Error", w.said.String},
		{"the Manager's log", w.managers.String},
		{"a log through redact.Handler", w.redacted.String},
		{"hooks", w.hooks.String},
		{"Snapshot", func() string { return fmt.Sprintf("%+v", w.m.Snapshot()) }},
		{"Save", func() string {
			var b strings.Builder
			if err := w.m.Save(&b); err != nil {
				tb.Error(err)
			}
			return b.String()
		}},
	}
}
