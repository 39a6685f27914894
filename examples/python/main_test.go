// Package python_test runs the example, and holds perdure_once.py to what it says.
package python_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

var server pgclustertest.Shared //nolint:gochecknoglobals // one server for all tests

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m), goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).triggerHealthCheck.func1"))
}

// interpreter returns a Python that has psycopg.
func interpreter(t *testing.T) string {
	t.Helper()
	python := os.Getenv("PERDURE_PYTHON")
	if python == "" {
		python = "/usr/bin/python3"
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import psycopg").CombinedOutput(); err != nil {
		t.Fatalf("%s has no psycopg 3: %v: %s\nTry: make setup, or set PERDURE_PYTHON to a Python that has it", python, err, out)
	}
	return python
}

// folder returns the directory of the example.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// open returns a database as Go programs use it, and a plain connection to it.
func open(t *testing.T, url, plain string) (*perdurepgx.DB, *pgx.Conn) {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := perdure.New(perdure.Config{Policy: perdure.Policy{MaxAttempts: 40, Park: 2 * time.Minute}, Budget: perdure.BudgetConfig{Floor: 200}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("Close = %v", err)
		}
		db.Close()
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return db, conn
}

// text returns the rows of a query, as text.
func text(t *testing.T, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		values, err := r.Values()
		return strings.Trim(fmt.Sprint(values), "[]"), err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}

// program is testdata/once.py at work.
type program struct {
	*exec.Cmd

	in             *os.File
	out            *bufio.Reader
	stdout, stderr bytes.Buffer
}

// once starts testdata/once.py under the key run/step/process.
func once(t *testing.T, url string, env []string, args ...string) *program {
	t.Helper()
	p := &program{}
	p.Cmd = exec.CommandContext(t.Context(), interpreter(t), append([]string{filepath.Join("testdata", "once.py")}, args...)...) //nolint:gosec // the test's own
	p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "PYTHONPATH=" + folder(t), "PYTHONDONTWRITEBYTECODE=1", "DATABASE_URL=" + url, "PERDURE_KEY=run/step/process"}, env...)
	p.Stderr = &p.stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stdin, p.in, p.out = r, w, bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close() // it is the child's
	t.Cleanup(func() { _ = w.Close() })
	return p
}

// line returns the next line of its stdout.
func (p *program) line(t *testing.T) string {
	t.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		_ = p.Wait()
		t.Fatalf("it ended: %s", p.stderr.String())
	}
	return strings.TrimSpace(s)
}

// end returns what it wrote, how it ended, and the end of its stderr.
func (p *program) end(t *testing.T) (out string, code int, stderr string) {
	t.Helper()
	if _, err := p.stdout.ReadFrom(p.out); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // its state says how it ended
	return strings.TrimSpace(p.stdout.String()), p.ProcessState.ExitCode(), p.stderr.String()
}
