package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
	"github.com/perdure/perdure/cmd/perdure/internal/config"
	"github.com/perdure/perdure/cmd/perdure/internal/state"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// The exit codes are part of the interface: docs/cli-json.md lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInvalid     = 3
	exitUnreachable = 4
	exitCheck       = 5
	exitPartial     = 6
	exitInterrupted = 130
)

// exitError is an error that knows its exit code and what a person can try.
type exitError struct {
	code int
	hint string
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageError is a fault of whoever typed the command; what to try is the help
// of that command.
func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// group makes a command that is only the parent of others: alone it shows its
// help, and what it does not know is a fault, as everywhere.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(children...)
	return cmd
}

// app is what the commands share.
type app struct {
	out    io.Writer // data
	err    io.Writer // talk
	output string    // table or json
}

// command runs the program and returns its exit code.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{out: stdout, err: stderr}
	root := &cobra.Command{
		Use:   "perdure",
		Short: "Database work that finishes exactly once, or says exactly what is not known",
		Long: "perdure runs PostgreSQL work that finishes exactly once, whatever the database does.\n" +
			"Data goes to stdout, talk to stderr. Start with: perdure demo",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "table" && a.output != "json" {
				return usageError("--output %q: want table or json", a.output)
			}
			return nil
		},
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "format of the data on stdout: table or json")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	root.AddCommand(a.demoCommand(), a.runCommand(), a.runsCommand(), a.checkCommand(), a.graphCommand(), a.classifyCommand(), a.auditCommand(), //nolint:contextcheck // cobra hands it on
		a.serveCommand(), a.workerCommand(), a.breakersCommand(), a.configCommand(), a.doctorCommand(), a.chaosCommand(), a.manCommand(), a.versionCommand()) //nolint:contextcheck // cobra hands it on
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	return a.fail(err, cmd.CommandPath())
}

// fail prints the error of a command and what to try, and returns the exit
// code.
func (a *app) fail(err error, command string) int {
	code, hint := explain(err)
	if code == exitUsage && hint == "" {
		hint = command + " --help"
	}
	a.say("perdure: %s", strings.TrimSpace(err.Error()))
	if p, ok := errors.AsType[*pipeline.PanicError](err); ok {
		a.say("%s", p.Stack)
	}
	if hint != "" {
		a.say("Try: %s", hint)
	}
	return code
}

func explain(err error) (code int, hint string) {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code, e.hint
	}
	if _, ok := errors.AsType[config.Faults](err); ok {
		return exitInvalid, "" // each fault says what to try
	}
	if _, ok := errors.AsType[*admin.RemoteError](err); ok {
		return exitUsage, "--listen 127.0.0.1:7070, or --allow-remote"
	}
	if errors.Is(err, state.ErrLocked) {
		return exitFailed, "end the other process, or give this one a directory of its own: --state-dir DIR"
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return exitFailed, "another address: --listen 127.0.0.1:0 takes any free port"
	}
	if e, ok := errors.AsType[*perduretemporal.UnreachableError](err); ok {
		return exitUnreachable, e.Hint()
	}
	if e, ok := errors.AsType[*perduredbos.StateError](err); ok {
		if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
			return exitUnreachable, e.Hint()
		}
		return exitFailed, e.Hint()
	}
	if e, ok := errors.AsType[*perduretemporal.NamespaceError](err); ok {
		return exitInvalid, e.Hint()
	}
	if _, ok := errors.AsType[*flights.FormatError](err); ok {
		return exitInvalid, "give the file its header line, as in examples/flights/data/flights.csv"
	}
	if _, ok := errors.AsType[*pgcluster.NoBinariesError](err); ok {
		return exitUnreachable, "install the PostgreSQL server (Debian: apt install postgresql; macOS: brew install postgresql@17), or give --database-url"
	}
	if errors.Is(err, perdure.ErrOutcomeUnknown) {
		_, hint = hintOf(err)
		return exitPartial, hint
	}
	if e, ok := errors.AsType[*pipeline.StepError](err); ok && e.Failure.Err == nil {
		return explainFailure(e.Failure)
	}
	if e, h := hintOf(err); e != nil {
		if e.Reason == perdure.ReasonBreakerOpen {
			return exitUnreachable, h
		}
		return exitFailed, h
	}
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return exitFailed, h.Hint()
	}
	for _, usage := range []string{"unknown command", "unknown flag", "accepts ", "requires ", "unknown shorthand"} {
		if strings.HasPrefix(err.Error(), usage) { // cobra has no types for these
			return exitUsage, ""
		}
	}
	return exitFailed, ""
}

// explainFailure is explain for a step that failed in another process, or before
// this one: only data is left of its error.
func explainFailure(f *pipeline.Failure) (code int, hint string) {
	switch f.Reason {
	case perdure.ReasonOutcomeUnknown.String():
		return exitPartial, f.Hint
	case perdure.ReasonBreakerOpen.String():
		return exitUnreachable, f.Hint
	}
	return exitFailed, f.Hint
}

func hintOf(err error) (*perdure.Error, string) {
	e, ok := errors.AsType[*perdure.Error](err)
	if !ok {
		return nil, ""
	}
	return e, e.Hint
}
