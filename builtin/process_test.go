package builtin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/pipeline"
)

// shell returns a definition of one step that runs a script.
func shell(script, more string) pipeline.Definition {
	with := fmt.Sprintf(`{"command":["sh","-c",%q]%s}`, script, more)
	return pipeline.Definition{Name: "p", Secrets: []pipeline.Secret{{Name: "token", Env: "PERDURE_TEST_TOKEN"}}, Steps: []pipeline.Step{
		{Name: "s", Uses: "process.run", With: []byte(with), Policy: &perdure.Policy{MaxAttempts: 3}},
	}}
}

func TestAProcessGetsJSONAndGivesJSON(t *testing.T) {
	t.Setenv("PERDURE_TEST_PASSED", "yes")
	t.Setenv("PERDURE_TEST_HIDDEN", "no")
	url := server.Database(t)
	h := open(t, url)
	d := shell(`in=$(cat); echo "{\"in\": $in, \"key\": \"$PERDURE_KEY\", \"passed\": \"$PERDURE_TEST_PASSED\", \"hidden\": \"$PERDURE_TEST_HIDDEN\", \"own\": \"$OWN\", \"url\": $${#DATABASE_URL}}"
		echo big > "$PERDURE_ARTIFACTS/file"; echo "connecting to $DATABASE_URL as me" >&2`,
		`,"input":{"n":5},"pass":["PERDURE_TEST_PASSED"],"env":{"OWN":"x"}`)
	artifacts := t.TempDir()
	r, err := pipeline.Run(t.Context(), d, pipeline.Options{Run: "run-1", Env: pipeline.Env{Invoker: h, Artifacts: artifacts}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"hidden":"","in":{"n":5},"key":"run-1/s/process","own":"x","passed":"yes","url":` + strconv.Itoa(len(url)) + `}`
	if got := output(t, r, "s"); got != want {
		t.Errorf("output = %s, want %s", got, want)
	}
	if b, err := os.ReadFile(filepath.Join(artifacts, "run-1", "s", "file")); err != nil || string(b) != "big\n" {
		t.Errorf("artifact = %q, %v", b, err)
	}
	if log := h.log.String(); !strings.Contains(log, "connecting to [redacted] as me") || strings.Contains(log, url) {
		t.Errorf("log = %s", log)
	}
}

func TestExitCodesSayWhatToDo(t *testing.T) {
	h := open(t, server.Database(t))
	count := func(d pipeline.Definition) (int, error) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "runs")
		d.Steps[0].With = []byte(strings.ReplaceAll(string(d.Steps[0].With), "FILE", file))
		_, err := h.run(t, d, "r", nil)
		b, readErr := os.ReadFile(file)
		if readErr != nil {
			t.Fatal(readErr)
		}
		return strings.Count(string(b), "x"), err
	}
	for _, c := range []struct {
		name, script, more string
		runs, code         int
	}{
		{"a permanent failure is not repeated", "printf x >> FILE; echo no such thing >&2; exit 1", `,"idempotent":true`, 1, 1},
		{"75 says try again", "printf x >> FILE; exit 75", `,"idempotent":true`, 3, 75},
		{"but only what is idempotent is", "printf x >> FILE; exit 75", ``, 1, 75},
		{"other codes can say it", "printf x >> FILE; exit 9", `,"idempotent":true,"retry_on":[9]`, 3, 9},
		{"a signal is a failure", "printf x >> FILE; kill -9 $$", `,"idempotent":true`, 1, -1},
		{"the second run succeeds", `printf x >> FILE; [ $(wc -c < FILE) -ge 2 ] || exit 75`, `,"idempotent":true`, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := shell(c.script, c.more)
			d.Steps[0].Name = strings.ReplaceAll(c.name, " ", "-") // each has a breaker of its own
			runs, err := count(d)
			if runs != c.runs {
				t.Errorf("it ran %d times, want %d", runs, c.runs)
			}
			exit, ok := errors.AsType[*builtin.ExitError](err)
			if c.code == 0 && err != nil || c.code != 0 && (!ok || exit.Code != c.code) {
				t.Errorf("Run = %v, want exit code %d", err, c.code)
			}
		})
	}
}

func TestWhatAProcessSaysIsBounded(t *testing.T) {
	h := open(t, server.Database(t))
	for script, want := range map[string]string{
		"echo hello":                            "not one JSON value",
		"echo 1 2":                              "not one JSON value",
		"head -c 100000 /dev/zero | tr '\\0' 1": "more than 65536 bytes",
	} {
		if _, err := h.run(t, shell(script, ""), "r", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %v, want %q", script, err, want)
		}
	}
	r, err := h.run(t, shell("head -c 3000000 /dev/zero | tr '\\0' y >&2; exit 3", ""), "r", nil)
	if err == nil || len(err.Error()) > 8<<10 {
		t.Errorf("Run = %d bytes of error, want some", len(fmt.Sprint(err)))
	}
	if s, _ := r.Step("s"); s.Failure == nil || s.Failure.Again {
		t.Errorf("failure = %+v", s.Failure)
	}
}

// TestTheWholeGroupEnds: what a command started must not go on with its key.
func TestTheWholeGroupEnds(t *testing.T) {
	h := open(t, server.Database(t))
	file := filepath.Join(t.TempDir(), "pids")
	script := `sleep 1000 & echo $! >> ` + file + `; sh -c 'trap "" TERM; echo $$ >> ` + file + `; sleep 1000' & echo $$ >> ` + file + `; wait`
	ended := func() {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pids := strings.Fields(string(b))
		if len(pids) != 3 {
			t.Fatalf("pids = %v, want three", pids)
		}
		for _, p := range pids {
			pid, err := strconv.Atoi(p)
			if err != nil {
				t.Fatal(err)
			}
			for alive(pid) {
				if t.Context().Err() != nil {
					t.Fatal("it did not end")
				}
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	d := shell(script, "")
	d.Steps[0].Timeout = 300 * time.Millisecond
	if _, err := h.run(t, d, "r", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run = %v, want the timeout", err)
	}
	ended()
	// And when the command itself ends well.
	d = shell(strings.Replace(script, "wait", "while [ $(wc -l < "+file+") -lt 3 ]; do :; done", 1), "")
	if _, err := h.run(t, d, "r", nil); err != nil {
		t.Errorf("Run = %v", err)
	}
	ended()
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil && !os.IsNotExist(err) || err == nil && !strings.Contains(string(b), ") Z ")
}

func TestSecretsGoNowhere(t *testing.T) {
	const secret = "correct-horse-battery"
	t.Setenv("PERDURE_TEST_TOKEN", secret)
	h := open(t, server.Database(t))
	d := shell(`[ "$TOKEN" = `+secret+` ] && echo "using $TOKEN" >&2; exit 4`, `,"env":{"TOKEN":"${secrets.token}"}`)
	plan, err := d.Freeze("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Steps[0].With = []byte(strings.ReplaceAll(string(d.Steps[0].With), secret, "correct-horse-batter'y'"))
	r, runErr := h.run(t, d, "r", nil)
	report, err := json.Marshal(r)
	if err != nil || runErr == nil {
		t.Fatal(err, runErr)
	}
	if strings.Contains(string(report), secret) || strings.Contains(runErr.Error(), secret) {
		t.Errorf("the report has the secret: %s", report)
	}
	if !strings.Contains(runErr.Error(), "using [redacted]") {
		t.Errorf("error = %v, want the end of stderr, redacted", runErr)
	}
	if raw, err := json.Marshal(plan.Secrets); err != nil || string(raw) != `[{"name":"token","env":"PERDURE_TEST_TOKEN"}]` {
		t.Errorf("secrets of the plan = %s, %v", raw, err)
	}
	if _, err := h.run(t, shell(`echo "\"Bearer $TOKEN\""`, `,"env":{"TOKEN":"${secrets.token}"}`), "r", nil); err == nil || !strings.Contains(err.Error(), "has a secret in it") {
		t.Errorf("an output with a secret = %v, want an error", err)
	}
}
