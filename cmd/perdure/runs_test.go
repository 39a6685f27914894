package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pipeline"
)

// databases makes the command of scripts that sets a variable to the URL of a
// new database: database DATABASE_URL. The server is started for the first one, and is that of all scripts.
func databases(t *testing.T) func(ts *testscript.TestScript, neg bool, args []string) {
	t.Helper()
	server := sync.OnceValue(func() *pgcluster.Cluster { return pgclustertest.New(t, pgcluster.Config{}) })
	return func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv(args[0], pgclustertest.Database(t, server()))
	}
}

// waitFile waits until a file is there.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-look.C {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s is not there after two minutes", args[0])
}

// runName sets RUN to the newest run of a pipeline.
func runName(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("perdure", "runs", "ls", "--output", "json"))
	var out listed
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &out))
	for _, r := range out.Runs {
		if strings.HasPrefix(r.Run, args[0]+".") {
			ts.Setenv("RUN", r.Run)
			return
		}
	}
	ts.Fatalf("there is no run of %s", args[0])
}

// TestCtrlCEndsWhatRunsAndSaysHowToGoOn: nothing that runs is lost, nothing new
// begins, and what is said to be tried does the rest.
func TestCtrlCEndsWhatRunsAndSaysHowToGoOn(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	dir := t.TempDir()
	file := filepath.Join(dir, "slow.yaml")
	gate := filepath.Join(dir, "gate")
	const text = `
name: slow
key: drained
steps:
  - {name: table, uses: sql.script, with: {sql: "create table slow (i int)"}}
  - name: wait
    uses: process.run
    needs: [table]
    with: {command: [sh, -c, 'touch "$GATE.started"; until test -e "$GATE.open"; do sleep 0.05; done; echo 7'], pass: [GATE]}
  - {name: after, uses: sql.query, with: {sql: "select $1::int as i", args: ["${steps.wait.output}"]}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := cleanEnv("XDG_STATE_HOME="+dir, "GATE="+gate, "DATABASE_URL="+pgclustertest.Database(t, server))

	cmd := exec.Command("perdure", "run", file, "--output", "json")
	cmd.Env = env
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	talk, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, gate+".started")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	in := bufio.NewReader(io.TeeReader(talk, &said))
	for !strings.Contains(said.String(), "perdure: interrupted") {
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatalf("it ended without a word: %s", said.String())
		}
	}
	if err := os.WriteFile(gate+".open", nil, 0o600); err != nil { // what runs can end now
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, in)
	_ = cmd.Wait() // the code is what is asked for
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("after SIGINT it exits with %d, want %d: %s", code, exitInterrupted, said.String())
	}
	var r ranRun
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %q", err, stdout.String())
	}
	if r.Status != pipeline.StatusInterrupted || r.Steps[1].Status != pipeline.StatusSucceeded || r.Steps[2].Attempts != 0 {
		t.Errorf("report = %+v", r)
	}
	hint := "Try: perdure runs resume " + r.Run + "\n"
	if !strings.HasSuffix(said.String(), hint) {
		t.Errorf("stderr = %q, want that it ends with %q", said.String(), hint)
	}

	again := exec.Command("perdure", append(strings.Fields(strings.TrimPrefix(hint, "Try: perdure ")), "--output", "json")...)
	again.Env = env
	out, err := again.Output()
	var whole resumed
	if err := errors.Join(err, json.Unmarshal(out, &whole)); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if s := whole.Runs[0]; s.Status != pipeline.StatusSucceeded || s.Steps[1].Attempts != 1 || string(s.Steps[1].Output) != "7" {
		t.Errorf("report of the run that was gone on with = %+v", s)
	}
}

// until waits until a file is there.
func until(t *testing.T, file string) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for range 6000 {
		if _, err := os.Stat(file); err == nil {
			return
		}
		<-look.C
	}
	t.Fatalf("%s is not there", file)
}

func TestProcessesMeetTheFaultsThatThePoolMeets(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"postgres://ann:p%40ss@db7:5433/shop?sslmode=disable&application_name=x", "postgres://ann:p%40ss@127.0.0.1:999/shop?application_name=x&sslmode=disable"},
		{"host=db7 user=bob dbname=shop sslmode=disable", "postgres://bob@127.0.0.1:999/shop?sslmode=disable"},
	} {
		got, err := disturbance{addr: "127.0.0.1:999"}.urlFor(place{url: tt.url})
		if err != nil || got.Reveal() != tt.want {
			t.Errorf("urlFor(%s) = %s, %v, want %s", tt.url, got.Reveal(), err, tt.want)
		}
	}
}

func TestATimelineIsDrawnOnOneAxis(t *testing.T) {
	began := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	step := func(name string, status pipeline.Status, from, took int) pipeline.StepReport {
		return pipeline.StepReport{Name: name, Status: status, Started: began.Add(time.Duration(from) * time.Second), Duration: time.Duration(took) * time.Second, Attempts: 1}
	}
	i := pipeline.RunInfo{
		Run: "r", Status: pipeline.StatusRunning, Started: began,
		Report: &pipeline.Report{Run: "r", Started: began, Steps: []pipeline.StepReport{
			step("first", pipeline.StatusSucceeded, 0, 8),
			step("short", pipeline.StatusSucceeded, 8, 0),
			step("works", pipeline.StatusRunning, 8, 0),
			{Name: "later", Status: pipeline.StatusPending},
		}},
	}
	var b strings.Builder
	if err := timeline(i, began.Add(16*time.Second)).write(&b); err != nil {
		t.Fatal(err)
	}
	want := "" +
		"STEP   STATUS     BEGAN   TOOK   RUNS  ITEMS  TIMELINE                          ERROR\n" +
		"first  succeeded  +0.0 s  8.0 s  1            ━━━━━━━━━━━━━━━━\n" +
		"short  succeeded  +8.0 s  0.0 s  1                            ━\n" +
		"works  running    +8.0 s  8.0 s  1                            ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌\n" +
		"later  pending    –       –      0\n"
	if b.String() != want {
		t.Errorf("timeline:\n%s\nwant:\n%s", b.String(), want)
	}
}
