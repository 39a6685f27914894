package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

// TestChaosBeforeADatabase puts it between another program and its server.
func TestChaosBeforeADatabase(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	cmd := exec.Command("perdure", "chaos", "--database-url", pgclustertest.Database(t, server), "--chaos", "severe", "--output", "json")
	cmd.Env = cleanEnv()
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	talk, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(talk).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, url, ok := strings.Cut(strings.TrimSpace(line), "Connect to ")
	if !ok {
		t.Fatalf("it says %q", line)
	}
	for range 50 { // connections that are cut are what is looked for
		if conn, err := pgx.Connect(t.Context(), url); err == nil {
			_, _ = conn.Exec(t.Context(), "begin; create table if not exists t (i int); commit")
			_ = conn.Close(t.Context())
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var r chaosReport
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in %q", err, stdout.String())
	}
	if r.Level != "severe" || r.Faults.CutBeforeCommit+r.Faults.CommitRepliesLost == 0 || r.Faults.PostmasterKills != 0 {
		t.Errorf("chaos = %+v, want connections cut and the server spared", r)
	}
}

// TestWhatADatabaseIsNotFitFor: each fault has its own words.
func TestWhatADatabaseIsNotFitFor(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		got  finding
		want string
	}{
		{"old server", (&seen{version: 130012, text: "13.12"}).checkVersion(), checkFailed},
		{"standby", (&seen{recovery: true}).checkRole(), checkFailed},
		{"read-only role", (&seen{readOnly: true}).checkRole(), checkFailed},
		{"no schema and no right to make one", (&seen{}).checkMarkers(), checkFailed},
		{"a schema that it may not use", (&seen{table: true, schema: true}).checkMarkers(), checkFailed},
		{"pooler", (&seen{pid: 7}).checkPooler(8), checkWarning},
		{"fsync off", (&seen{fsync: "off", synchronous: "on"}).checkDurable(), checkWarning},
		{"synchronous_commit off", (&seen{fsync: "on", synchronous: "off"}).checkDurable(), checkWarning},
		{"a clock that is wrong", (&seen{now: now.Add(-time.Minute)}).checkClock(now, time.Millisecond), checkWarning},
		{"a clock of which little is known", (&seen{now: now.Add(-3 * time.Second)}).checkClock(now, 4*time.Second), checkOK},
		{"all is well", (&seen{create: true}).checkMarkers(), checkOK},
	} {
		if tt.got.Status != tt.want || (tt.want != checkOK) != (tt.got.Try != "") {
			t.Errorf("%s: %+v, want %s", tt.name, tt.got, tt.want)
		}
	}
}
