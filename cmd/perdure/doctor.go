package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
)

// diagnosis is the JSON of doctor.
type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []finding `json:"checks"`
}

// finding is what one check found.
type finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warning or failed
	Text   string `json:"text"`
	Try    string `json:"try,omitempty"`
}

const (
	checkOK      = "ok"
	checkWarning = "warning"
	checkFailed  = "failed"
)

func (a *app) doctorCommand() *cobra.Command {
	var (
		f serverFlags
		e engineFlags
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether a database, and this machine, are fit for perdure",
		Long: "doctor connects to the database and looks at what perdure relies on: the server's version and role, the rights\n" +
			"to make and use the table of markers, whether a pooler is in between, the clocks, and the state directory. It\n" +
			"changes nothing. A warning is something to know; if a check failed, the exit code is 5.",
		Example: "  perdure doctor --database-url postgres://localhost/test\n  perdure doctor --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			srv, err := f.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			conn, err := pgx.Connect(cmd.Context(), srv.url)
			if err != nil {
				return &exitError{code: exitUnreachable, hint: connectHint(err), err: err}
			}
			defer func() { _ = conn.Close(context.WithoutCancel(cmd.Context())) }() // it only read
			d, err := examine(cmd.Context(), conn)
			if err != nil {
				return err
			}
			d = append(d, a.examineState(cmd.Context(), e))
			return a.printDiagnosis(d)
		},
	}
	f.addURL(cmd)
	e.addStateDir(cmd)
	return cmd
}

// seen is what one query reads of a server.
type seen struct {
	version                      int
	text, role, database         string
	recovery, readOnly           bool
	schema, table, use, create   bool
	pid                          uint32
	synchronous, fsync, timeouts string
	now                          time.Time
}

const seenSQL = `select current_setting('server_version_num')::int, current_setting('server_version'), current_user::text, current_database()::text,
	pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',
	to_regnamespace('perdure') is not null, to_regclass('perdure.outcome') is not null,
	coalesce(has_schema_privilege(to_regnamespace('perdure'), 'usage'), false),
	has_database_privilege(current_database(), 'create'), pg_backend_pid(),
	current_setting('synchronous_commit'), current_setting('fsync'),
	concat_ws(', ', 'statement ' || current_setting('statement_timeout'), 'lock ' || current_setting('lock_timeout'), 'idle in transaction ' || current_setting('idle_in_transaction_session_timeout')),
	clock_timestamp()`

// examine asks the server, and judges.
func examine(ctx context.Context, conn *pgx.Conn) ([]finding, error) {
	var s seen
	before := time.Now()
	err := conn.QueryRow(ctx, seenSQL).Scan(&s.version, &s.text, &s.role, &s.database, &s.recovery, &s.readOnly, &s.schema, &s.table, &s.use,
		&s.create, &s.pid, &s.synchronous, &s.fsync, &s.timeouts, &s.now)
	if err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	took := time.Since(before)
	return []finding{
		s.checkVersion(), s.checkRole(), s.checkMarkers(), s.checkPooler(conn.PgConn().PID()), s.checkDurable(),
		s.checkClock(before.Add(took/2), took),
		{Name: "timeouts", Status: checkOK, Text: s.timeouts + " (0 means none)"},
	}, nil
}

func (s *seen) checkVersion() finding {
	const oldest = 140000
	if s.version < oldest {
		return finding{"version", checkFailed, "PostgreSQL " + s.text, "PostgreSQL 14 or later"}
	}
	return finding{"version", checkOK, "PostgreSQL " + s.text, ""}
}

func (s *seen) checkRole() finding {
	switch {
	case s.recovery:
		return finding{"writable", checkFailed, "the server is a standby: it only reads", "the primary, for one with target_session_attrs=read-write in the URL"}
	case s.readOnly:
		return finding{"writable", checkFailed, "transactions of " + s.role + " are read-only by default", "alter role " + s.role + " set default_transaction_read_only = off"}
	}
	return finding{"writable", checkOK, "transactions can write", ""}
}

func (s *seen) checkMarkers() finding {
	switch {
	case s.table && s.use:
		return finding{"markers", checkOK, "perdure.outcome is there, and " + s.role + " may use it", ""}
	case s.table:
		return finding{"markers", checkFailed, "perdure.outcome is there, and " + s.role + " may not use its schema", "grant usage on schema perdure to " + s.role}
	case s.create || s.schema:
		return finding{"markers", checkOK, "perdure.outcome is made by the first run", ""}
	}
	return finding{"markers", checkFailed, "there is no perdure.outcome, and " + s.role + " may make no schema", "grant create on database " + s.database + " to " + s.role}
}

// checkPooler compares the process that the connection was told of with the one
// that answers: whoever is in between tells of itself.
func (s *seen) checkPooler(told uint32) finding {
	if told == s.pid {
		return finding{"pooler", checkOK, "none: the server itself answers", ""}
	}
	return finding{
		"pooler", checkWarning, "something is in between (PgBouncer, or its like): backend " + strconv.Itoa(int(s.pid)) + " answers for connection " + strconv.Itoa(int(told)),
		"perdure works through it; for statements to be canceled, and outcomes to be found out by token, connect to the server itself",
	}
}

func (s *seen) checkDurable() finding {
	switch {
	case s.fsync != "on":
		return finding{"durable", checkWarning, "fsync is " + s.fsync + ": a crash of the machine may lose or break what was committed", "alter system set fsync = on"}
	case s.synchronous == "off":
		return finding{"durable", checkWarning, "synchronous_commit is off: a crash of the server may lose the last commits", "alter database " + s.database + " set synchronous_commit = on"}
	}
	return finding{"durable", checkOK, "what is committed stays (fsync on, synchronous_commit " + s.synchronous + ")", ""}
}

// checkClock compares with the middle of the question: the error is at most half
// of what it took.
func (s *seen) checkClock(here time.Time, took time.Duration) finding {
	const most = 2 * time.Second
	apart := s.now.Sub(here)
	text := fmt.Sprintf("%+.3f s against this machine, known to %.3f s", apart.Seconds(), took.Seconds()/2)
	if apart.Abs()-took/2 > most {
		return finding{"clock", checkWarning, text, "NTP on both machines: nothing is decided by the clock, but times in logs and reports do not fit"}
	}
	return finding{"clock", checkOK, text, ""}
}

// examineState looks at where runs are remembered.
func (a *app) examineState(ctx context.Context, f engineFlags) finding {
	dir, err := f.statePath("runs")
	if err == nil {
		err = a.withRuns(ctx, f, func(e *engine) error {
			_, err := e.List(ctx, 1)
			return err
		})
	}
	if err != nil {
		_, hint := explain(err)
		return finding{"state", checkFailed, err.Error(), hint}
	}
	return finding{"state", checkOK, dir + " can be used", ""}
}

func (a *app) printDiagnosis(checks []finding) error {
	d := diagnosis{OK: true, Checks: checks}
	g := grid{rows: [][]string{{"CHECK", "STATUS", "FOUND"}}}
	failed := 0
	for _, c := range checks {
		g.rows = append(g.rows, []string{c.Name, c.Status, printable(c.Text)})
		if c.Status == checkFailed {
			d.OK = false
			failed++
		}
	}
	if a.output == "json" {
		if err := writeJSON(a.out, d); err != nil {
			return err
		}
	} else if err := g.write(a.out); err != nil {
		return err
	}
	for _, c := range checks {
		if c.Try != "" {
			a.say("%s: try %s", c.Name, printable(c.Try))
		}
	}
	if failed > 0 {
		return &exitError{code: exitCheck, err: errors.New(counted(failed, "check") + " failed")}
	}
	return nil
}
