package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

// asMain makes the test's own program be the command.
const asMain = "PERDURE_TEST_EMBEDDED_GO"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(server.Wrap(m).Run())
}

// house is a database with customers, and a directory for the state.
type house struct {
	*pgx.Conn

	url, state string
}

func open(t *testing.T) house {
	t.Helper()
	h := house{url: server.Database(t), state: filepath.Join(t.TempDir(), "state")}
	var err error
	if h.Conn, err = pgx.Connect(t.Context(), h.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	h.exec(t, "create table customer (name text primary key, spent int not null, points bigint not null default 0)")
	h.exec(t, "insert into customer select 'c' || lpad(i::text, 2, '0'), 10 * i from generate_series(1, 20) i")
	return h
}

func (h house) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := h.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (h house) ask(t *testing.T, sql string) (answer string) {
	t.Helper()
	if err := h.QueryRow(t.Context(), "select ("+sql+")::text").Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func (h house) command(t *testing.T, month string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-database-url", h.url, "-state", h.state, "-month", month)
	cmd.Env = append(os.Environ(), asMain+"=1")
	cmd.Stderr = os.Stderr
	return cmd
}

const (
	given = `total      succeeded  {"points":210}` // 1 + 2 + … + 20
	right = "select count(*) filter (where points = spent / 10) || ' of ' || count(*) from customer"
)

func TestTheSameRunAgainReturnsWhatTheFirstDid(t *testing.T) {
	h := open(t)
	var outputs []string
	for range 2 {
		out, err := h.command(t, "2001-12").Output()
		if err != nil || !strings.Contains(string(out), given) {
			t.Fatalf("%v\n%s", err, out)
		}
		outputs = append(outputs, string(out))
	}
	if outputs[0] != outputs[1] {
		t.Errorf("the second says\n%s\nthe first said\n%s", outputs[1], outputs[0])
	}
	if got := h.ask(t, right); got != "20 of 20" {
		t.Errorf("customers with the right points: %s", got)
	}
	// Another month is another run.
	out, err := h.command(t, "2002-01").Output()
	if err != nil || !strings.Contains(string(out), `{"points":420}`) {
		t.Errorf("another month: %v\n%s", err, out)
	}
}

// TestAKilledRunGoesOn kills the program while it waits for a customer that the
// test holds, and starts it again.
func TestAKilledRunGoesOn(t *testing.T) {
	h := open(t)
	holder, err := pgx.Connect(t.Context(), h.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), "begin; select from customer where name = 'c12' for update"); err != nil {
		t.Fatal(err)
	}
	cmd := h.command(t, "2001-12")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// All others can be done while one of two waits.
	for h.ask(t, right) != "19 of 20" {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	if _, err := holder.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	out, err := h.command(t, "2001-12").Output()
	if err != nil || !strings.Contains(string(out), given) {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := h.ask(t, right); got != "20 of 20" {
		t.Errorf("customers with the right points: %s", got)
	}
}
