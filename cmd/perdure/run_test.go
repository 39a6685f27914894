package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pipeline"
)

// start starts the program on a server and returns when the pipeline runs.
func start(t *testing.T, url string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer, wait func() int) {
	t.Helper()
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.Command("perdure", append([]string{"run", "flights", "--database-url", url, "--output", "json"}, args...)...)
	cmd.Stdout = stdout
	talk, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(io.TeeReader(talk, stderr))
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("the program ended before it began: %s", stderr)
		}
		if strings.Contains(line, " to do") {
			break
		}
	}
	return cmd, stdout, stderr, func() int {
		_, _ = io.Copy(io.Discard, in)
		err := cmd.Wait()
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			return e.ExitCode()
		}
		if err != nil {
			t.Fatal(err)
		}
		return 0
	}
}

// rows waits until so many flights are there.
func rows(t *testing.T, url string, atLeast int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var schema string
	for n := 0; n < atLeast; {
		err := conn.QueryRow(t.Context(), "select min(schemaname) from pg_tables where tablename = 'flight'").Scan(&schema)
		if err == nil {
			err = conn.QueryRow(t.Context(), "select count(*) from "+pgx.Identifier{schema, "flight"}.Sanitize()).Scan(&n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func report(t *testing.T, stdout *bytes.Buffer) runReport {
	t.Helper()
	var r runReport
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %q", err, stdout)
	}
	return r
}

// TestWhatWasDoneStaysDone ends runs in every way there is, on a server that is
// not the program's own, and lets the next one go on.
func TestWhatWasDoneStaysDone(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{Settings: map[string]string{"deadlock_timeout": "50ms"}})
	url := pgclustertest.Database(t, server)

	// kill -9, in the middle of loading, while connections are cut.
	cmd, _, _, wait := start(t, url, "--chaos", "severe")
	rows(t, url, 2000)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wait()

	// SIGTERM: what runs ends, nothing new begins.
	cmd, stdout, stderr, wait := start(t, url, "--chaos", "severe")
	rows(t, url, 5000)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := wait(); code != exitInterrupted {
		t.Errorf("after SIGTERM the program exits with %d, want %d: %s", code, exitInterrupted, stderr)
	}
	r := report(t, stdout)
	if r.Status != pipeline.StatusCanceled || r.Doubled != 0 || r.Lost == 0 || r.Remembered == 0 {
		t.Errorf("after SIGTERM: status %s, %d lost, %d doubled, %d remembered", r.Status, r.Lost, r.Doubled, r.Remembered)
	}
	for _, want := range []string{"running transactions end first", "Try: the same command again"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q: %s", want, stderr)
		}
	}

	// To the end, still under chaos; this server is never killed.
	pid := server.PID()
	_, stdout, stderr, wait = start(t, url, "--chaos", "severe", "--seed", "2")
	if code := wait(); code != exitOK {
		t.Fatalf("the run that goes on exits with %d: %s", code, stderr)
	}
	whole := report(t, stdout)
	if !whole.Intact() || whole.Remembered == 0 || whole.Faults.CutBeforeCommit == 0 || whole.Faults.PostmasterKills+whole.Faults.BackendKills != 0 || server.PID() != pid {
		t.Errorf("report = %+v", whole)
	}
	if !strings.Contains(stderr.String(), "This server is not killed") {
		t.Errorf("stderr does not say that the server is spared: %s", stderr)
	}

	// Once more: everything is remembered, nothing is done.
	_, stdout, _, wait = start(t, url)
	if code := wait(); code != exitOK {
		t.Fatalf("the same run again exits with %d", code)
	}
	again := report(t, stdout)
	if again.Digest != whole.Digest || !again.Intact() || again.Remembered != 636 {
		t.Errorf("again: digest %s, %d remembered, want %s and all 636 effects", again.Digest, again.Remembered, whole.Digest)
	}
}

// TestDroppedTablesAreNotTakenForDone: the keys of what was done outlive the
// tables, and must not hide that these are new and empty.
func TestDroppedTablesAreNotTakenForDone(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	url := pgclustertest.Database(t, server)
	for i := range 2 {
		_, stdout, stderr, wait := start(t, url)
		if code := wait(); code != exitOK {
			t.Fatalf("run %d exits with %d: %s", i, code, stderr)
		}
		r := report(t, stdout)
		if !r.Intact() || r.Remembered != 0 {
			t.Errorf("run %d: %d lost, %d remembered, want none", i, r.Lost, r.Remembered)
		}
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "do $$ begin execute (select format('drop schema %I cascade', min(schemaname)) from pg_tables where tablename = 'flight'); end $$"); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close(t.Context())
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	url := pgclustertest.Database(t, server)
	cmd, stdout, stderr, wait := start(t, url, "--chaos", "severe")
	rows(t, url, 500)
	if err := server.Freeze(); err != nil { // now nothing can end by itself
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// Of another kind, since two of one kind may be delivered as one.
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := wait(); code != exitInterrupted {
		t.Errorf("after two signals the program exits with %d, want %d: %s", code, exitInterrupted, stderr)
	}
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	if stdout.Len() != 0 {
		t.Errorf("stdout = %q, want nothing: it ended at once", stdout)
	}
}
