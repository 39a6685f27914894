package livetest

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pgerr"
)

// testFaults provokes what takes a server of one's own, to starve or to break.
func (p *provoked) testFaults(t *testing.T) {
	t.Run("refused at connect", p.testRefused)
	t.Run("a starved server", p.testStarved)
	t.Run("a dying server", p.testDying)
	t.Run("a standby", p.testStandby)
	t.Run("broken files", p.testBrokenFiles)
}

func (p *provoked) testRefused(t *testing.T) {
	cluster := own(t, nil)
	must(t, connect(t, cluster.URL("postgres")), `create role one login connection limit 1`)
	if err := cluster.AddUser(t.Context(), "guarded", "right"); err != nil {
		t.Fatal(err)
	}
	connect(t, cluster.UserURL("guarded", "right", "postgres"))
	connect(t, cluster.UserURL("one", "", "postgres"))
	for _, c := range []struct{ code, url string }{
		{"28000", cluster.UserURL("nobody", "", "postgres")},
		{"28P01", cluster.UserURL("guarded", "wrong", "postgres")},
		{"3D000", cluster.URL("nosuch")},
		{"53300", cluster.UserURL("one", "", "postgres")}, // the role's limit
	} {
		_, err := pgx.Connect(t.Context(), c.url)
		p.expect(t, c.code, err)
		if v := pgerr.ClassifyConnect(err); v.SQLState != c.code || v.Effect != pgerr.EffectNone {
			t.Errorf("ClassifyConnect(%v) = %+v", err, v)
		}
	}
}

// fewSlots leaves four connections to those who are no superusers.
func fewSlots() map[string]string {
	return map[string]string{
		"max_locks_per_transaction": "10", "max_connections": "8", "superuser_reserved_connections": "4", "max_wal_senders": "0",
	}
}

func (p *provoked) testStarved(t *testing.T) {
	cluster := own(t, fewSlots())
	conn := connect(t, cluster.URL("postgres"))
	p.expect(t, "53200", exec(t, conn, `select pg_advisory_xact_lock(n) from generate_series(1, 100000) n`))
	must(t, conn, `select 1`, `create role plain login`)
	var err error
	for range 8 {
		var extra *pgx.Conn
		if extra, err = pgx.Connect(t.Context(), cluster.UserURL("plain", "", "postgres")); err != nil {
			break
		}
		t.Cleanup(func() { _ = extra.Close(context.WithoutCancel(t.Context())) }) // the server may be gone first
	}
	p.expect(t, "53300", err)
	must(t, conn, `select 1`) // it says nothing about connections already open
}

func (p *provoked) testDying(t *testing.T) {
	cluster := own(t, nil)
	cfg, err := pgx.ParseConfig(cluster.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	var lastWords []*pgconn.Notice
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { lastWords = append(lastWords, n) }
	victim, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = victim.Close(context.WithoutCancel(t.Context())) }) // dead by then

	// Another backend is killed: the server's last words are a notice, and the
	// error is a connection lost.
	asleep := make(chan error, 1)
	go func() {
		_, err := victim.Exec(t.Context(), `select pg_sleep($1)`, 60)
		asleep <- err
	}()
	bystander := connect(t, cluster.URL("postgres"))
	waitFor(t, bystander, isAsleep, pid(victim))
	if err := cluster.KillBackend(pid(bystander)); err != nil {
		t.Fatal(err)
	}
	err = <-asleep
	lost := pgerr.Verdict{
		Category: pgerr.CategoryConnection, Severity: pgerr.SeverityHigh, Retry: pgerr.RetryReconnect,
		Effect: pgerr.EffectUnknown, Trips: pgerr.ScopeDatabase,
	}
	if got := pgerr.Classify(err); got != lost || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Classify(%v) = %+v, want %+v", err, got, lost)
	}
	if len(lastWords) != 1 {
		t.Fatalf("got %d notices, want the crash's one", len(lastWords))
	}
	p.expect(t, "57P02", (*pgconn.PgError)(lastWords[0]))

	// While it recovers it refuses; then it is back.
	survivor := connectSoon(t, cluster)

	// A smart stop waits for the open session and refuses new ones.
	stopped := make(chan error, 1)
	go func() { stopped <- cluster.Stop(t.Context(), pgcluster.Smart) }()
	p.expect(t, "57P03", refusal(t, cluster))
	if err := survivor.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}

	// Nobody listens any more.
	_, err = pgx.Connect(t.Context(), cluster.URL("postgres"))
	unreached := pgerr.Verdict{
		Category: pgerr.CategoryConnection, Severity: pgerr.SeverityHigh, Retry: pgerr.RetryWait, Trips: pgerr.ScopeDatabase,
	}
	for _, got := range []pgerr.Verdict{pgerr.Classify(err), pgerr.ClassifyConnect(err)} {
		if got != unreached || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("verdict on %v is %+v, want %+v", err, got, unreached)
		}
	}
}

// connectSoon connects as soon as the server lets it. Each refusal before that
// must have a verdict that says to come back.
func connectSoon(t *testing.T, cluster *pgcluster.Cluster) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, cluster.URL("postgres"))
		if err == nil {
			return conn
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		if v := pgerr.ClassifyConnect(err); v.Retry != pgerr.RetryWait && v.Retry != pgerr.RetryReconnect {
			t.Fatalf("ClassifyConnect(%v) = %+v, want a verdict worth coming back for", err, v)
		}
	}
}

// refusal connects until the server refuses, and returns its error.
func refusal(t *testing.T, cluster *pgcluster.Cluster) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, cluster.URL("postgres"))
		if err != nil {
			return err
		}
		if err := conn.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *provoked) testStandby(t *testing.T) {
	primary := own(t, nil)
	must(t, connect(t, primary.URL("postgres")), `create table t (a int)`)
	standby := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{})
	if err := standby.CatchUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, standby.URL("postgres"))
	p.expect(t, "25006", exec(t, conn, `insert into t values (1)`))
	p.expectVerdict(t, pgerr.Verdict{
		SQLState: "55000", Category: pgerr.CategoryReadOnly, Severity: pgerr.SeverityHigh,
		Retry: pgerr.RetryReconnect, Trips: pgerr.ScopeDatabase,
	}, exec(t, conn, `select pg_current_wal_lsn()`))
}

// testBrokenFiles writes into the server's files while it is down: over the
// header of a table's page, and into that of an index.
func (p *provoked) testBrokenFiles(t *testing.T) {
	cluster := own(t, nil)
	conn := connect(t, cluster.URL("postgres"))
	must(t, conn, `create table torn (a int)`, `insert into torn values (1)`,
		`create table lame (id int primary key)`, `insert into lame values (1)`)
	path := func(relation string) (file string) {
		t.Helper()
		const question = `select current_setting('data_directory') || '/' || pg_relation_filepath($1::regclass)`
		if err := conn.QueryRow(t.Context(), question, relation).Scan(&file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	torn, lame := path("torn"), path("lame_pkey")
	lameState := "XX002"
	var checksums string
	if err := conn.QueryRow(t.Context(), "show data_checksums").Scan(&checksums); err != nil {
		t.Fatal(err)
	}
	if checksums == "on" { // the default since PostgreSQL 18: the checksum is wrong before the content can be
		lameState = "XX001"
	}
	if err := cluster.Stop(t.Context(), pgcluster.Fast); err != nil {
		t.Fatal(err)
	}
	const page = 8192
	overwrite(t, torn, 0, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	// pd_special of the root: a valid header, but too little room for a B-tree's own data.
	overwrite(t, lame, page+16, []byte{0xf8, 0x1f})
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn = connect(t, cluster.URL("postgres"))
	p.expect(t, "XX001", exec(t, conn, `select * from torn`))
	must(t, conn, `set enable_seqscan = off`)
	p.expect(t, lameState, exec(t, conn, `select * from lame where id = 1`))
}

func overwrite(t *testing.T, path string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(with, at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
