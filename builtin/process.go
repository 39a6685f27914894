package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

const (
	// tempFail is EX_TEMPFAIL of sysexits.h: try again later.
	tempFail = 75
	// termGrace is how long a process may take to end after SIGTERM.
	termGrace = 5 * time.Second
)

// process is the value of the component.
type process struct {
	cfg Config
	m   *perdure.Manager
}

func processFactory(c Config) component.Factory {
	return component.Factory{
		Name: processName,
		Doc:  "Commands in any language. A command runs at least once; with its key it can make sure that its own effects happen once.",
		Methods: []component.Callable{
			component.MethodOf("run", (*process).run).With(component.Options{Doc: "One command: JSON on its stdin and stdout."}),
		},
		Maker: component.Make(func(context.Context, component.Deps, struct{}) (*process, error) {
			m, err := c.manager()
			return &process{c, m}, err
		}),
	}
}

type processInput struct {
	Command    []string          `json:"command" jsonschema:"the program and its arguments; no shell is between"`
	Input      json.RawMessage   `json:"input,omitempty" jsonschema:"goes to its stdin, as JSON"`
	Env        map[string]string `json:"env,omitempty" jsonschema:"variables of its environment"`
	Pass       []string          `json:"pass,omitempty" jsonschema:"variables that it gets from this process; beside them PATH, HOME, LANG, TZ and TMPDIR"`
	Dir        string            `json:"dir,omitempty" jsonschema:"its working directory; a relative path starts at the pipeline's directory, which is the default"`
	Idempotent bool              `json:"idempotent,omitempty" jsonschema:"running it twice is the same as running it once, so that it may be run again"`
	RetryOn    []int             `json:"retry_on,omitempty" jsonschema:"exit codes after which another run makes sense; default 75"`
}

// Validate checks what the schema cannot.
func (in processInput) Validate() error {
	if len(in.Command) == 0 || in.Command[0] == "" {
		return errors.New("command: empty")
	}
	for name := range in.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("env: %.40q is no name", name)
		}
	}
	return nil
}

// run runs the command, and returns the JSON that it wrote to stdout.
func (p *process) run(ctx context.Context, in processInput) (json.RawMessage, error) {
	o := op(ctx, "process.run")
	o.Idempotent = in.Idempotent
	return perdure.Get(ctx, p.m, o, func(ctx context.Context) (json.RawMessage, error) { return p.attempt(ctx, in) })
}

func (p *process) attempt(ctx context.Context, in processInput) (json.RawMessage, error) {
	cmd := exec.CommandContext(ctx, in.Command[0], in.Command[1:]...) //nolint:gosec // the pipeline names its commands
	if cmd.Dir = pipeline.Path(ctx, in.Dir); in.Dir == "" {
		cmd.Dir = pipeline.Dir(ctx)
	}
	env, err := p.environment(ctx, in)
	if err != nil {
		return nil, err
	}
	cmd.Env = env
	input := []byte(in.Input)
	if len(input) == 0 {
		input = []byte("{}")
	}
	out := &bounded{most: pipeline.MaxOutput}
	told := &stderr{log: p.cfg.Log.With(slog.String("step", pipeline.StepName(ctx))), hide: p.cfg.DatabaseURL.Reveal()}
	err = runGroup(cmd, input, out, told)
	told.flush()
	if err != nil {
		return nil, p.failure(ctx, in, told, err)
	}
	text := bytes.TrimSpace(out.b)
	switch {
	case out.over:
		return nil, fmt.Errorf("%s wrote more than %d bytes to stdout: write files into $PERDURE_ARTIFACTS, or rows", in.Command[0], pipeline.MaxOutput)
	case len(text) == 0:
		return json.RawMessage("null"), nil
	case !json.Valid(text):
		return nil, fmt.Errorf("%s wrote something to stdout that is not one JSON value: what is for people goes to stderr", in.Command[0])
	}
	return text, nil
}

// failure says what the end of a command means.
func (p *process) failure(ctx context.Context, in processInput, told *stderr, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s was ended: %w", in.Command[0], context.Cause(ctx))
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	failed := &ExitError{Command: in.Command[0], Code: exit.ExitCode(), State: exit.String(), Stderr: told.last()}
	codes := in.RetryOn
	if codes == nil {
		codes = []int{tempFail}
	}
	if slices.Contains(codes, failed.Code) {
		return perdure.Transient(failed)
	}
	return failed
}

// ExitError says how a command ended that did not succeed.
type ExitError struct {
	Command string
	// Code is the exit code; -1 if a signal ended it.
	Code  int
	State string
	// Stderr is the end of what it wrote there, redacted.
	Stderr string
}

// Error names the command, how it ended, and the end of its stderr.
func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return e.Command + ": " + e.State
	}
	return e.Command + ": " + e.State + ": " + e.Stderr
}

// Describe makes it a Describer of the package redact: its texts are redacted
// already.
func (e *ExitError) Describe(func(error) string) string { return e.Error() }

// environment is what the command gets, and nothing else.
func (p *process) environment(ctx context.Context, in processInput) ([]string, error) {
	var env []string
	for _, name := range append([]string{"PATH", "HOME", "LANG", "TZ", "TMPDIR"}, in.Pass...) {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if !p.cfg.DatabaseURL.Empty() {
		env = append(env, "DATABASE_URL="+p.cfg.DatabaseURL.Reveal())
	}
	if key := pipeline.Key(ctx, "process"); key != "" {
		env = append(env, "PERDURE_KEY="+key, "PERDURE_STEP="+pipeline.StepName(ctx))
		dir, err := pipeline.Artifacts(ctx)
		if err == nil { // it may be relative to this process, which works elsewhere than the command
			dir, err = filepath.Abs(dir)
		}
		if err == nil {
			env = append(env, "PERDURE_ARTIFACTS="+dir)
		} else if !errors.Is(err, pipeline.ErrNoArtifacts) {
			return nil, err
		}
	}
	for name, v := range in.Env {
		env = append(env, name+"="+v)
	}
	return env, nil
}

// redacted is a line of stderr as a log may have it.
func redacted(line, secret string) string {
	if secret != "" {
		line = strings.ReplaceAll(line, secret, redact.Mark)
	}
	return redact.Text(line)
}
