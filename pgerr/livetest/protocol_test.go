package livetest

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pgerr"
)

// testProtocol provokes what takes the extended protocol or COPY.
func (p *provoked) testProtocol(t *testing.T) {
	url := pgclustertest.Database(t, server.Cluster(t))
	must(t, connect(t, url), `create table t (a int, b int)`, `insert into t values (1, 2)`)

	t.Run("0A000 of a stale cached plan", func(t *testing.T) {
		conn := connect(t, url)
		const read = `select * from t where a = $1`
		query := func() error {
			_, err := conn.Exec(t.Context(), read, 1)
			return err
		}
		if err := query(); err != nil {
			t.Fatal(err)
		}
		must(t, connect(t, url), `alter table t add column c int`)
		e, _ := pgerr.Lookup("0A000")
		want := e.Verdict()
		want.Retry = pgerr.RetryStatement
		p.expectVerdict(t, want, query())
		if err := query(); err != nil {
			t.Errorf("retry is statement, but a repeat gives %v", err)
		}
	})
	t.Run("26000 of a lost prepared statement", func(t *testing.T) {
		conn := connect(t, url)
		query := func() error {
			_, err := conn.Exec(t.Context(), `select a from t where a = $1`, 1)
			return err
		}
		if err := query(); err != nil {
			t.Fatal(err)
		}
		must(t, conn, `deallocate all`)
		p.expect(t, "26000", query())
		if err := query(); err != nil {
			t.Errorf("retry is statement, but a repeat gives %v", err)
		}
	})
	t.Run("42P05 of a name taken", func(t *testing.T) {
		conn := connect(t, url)
		must(t, conn, `prepare taken as select 1`)
		_, err := conn.PgConn().Prepare(t.Context(), "taken", `select 2`, nil)
		p.expect(t, "42P05", err)
	})
	t.Run("08P01 of a wrong number of parameters", func(t *testing.T) {
		conn := connect(t, url)
		err := conn.PgConn().ExecParams(t.Context(), `select $1::int`, nil, nil, nil, nil).Read().Err
		p.expectVerdict(t, pgerr.Verdict{
			SQLState: "08P01", Category: pgerr.CategoryConnection, Severity: pgerr.SeverityHigh,
		}, err)
		must(t, conn, `select 1`) // effect none, and the session lives on
	})
	t.Run("22P03", func(t *testing.T) {
		err := connect(t, url).PgConn().ExecParams(t.Context(), `select $1::int`,
			[][]byte{{0, 0, 0, 0, 0}}, []uint32{pgtype.Int4OID}, []int16{pgx.BinaryFormatCode}, nil).Read().Err
		p.expect(t, "22P03", err)
	})
	t.Run("22P04", func(t *testing.T) {
		_, err := connect(t, url).PgConn().CopyFrom(t.Context(), strings.NewReader("1\n"), `copy t from stdin`)
		p.expect(t, "22P04", err)
	})
	t.Run("58P01 of a missing library", func(t *testing.T) {
		e, _ := pgerr.Lookup("58P01")
		want := e.Verdict()
		want.Category, want.Severity, want.Trips = pgerr.CategoryConfiguration, pgerr.SeverityHigh, pgerr.ScopeNone
		p.expectVerdict(t, want, exec(t, connect(t, url), `load 'nosuch'`))
	})
}
