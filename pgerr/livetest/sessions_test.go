package livetest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pgerr"
)

// waitFor polls the server until a question is answered with true.
func waitFor(t *testing.T, conn *pgx.Conn, question string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for yes := false; !yes; {
		if err := conn.QueryRow(ctx, `select coalesce((`+question+`), false) from pg_sleep(0.005)`, args...).Scan(&yes); err != nil {
			t.Fatalf("waiting for %s: %v", question, err)
		}
	}
}

// pid returns the backend of a session.
func pid(conn *pgx.Conn) int { return int(conn.PgConn().PID()) }

const (
	isBlocked = `select wait_event_type = 'Lock' from pg_stat_activity where pid = $1`
	isAsleep  = `select wait_event = 'PgSleep' from pg_stat_activity where pid = $1`
	isGone    = `select count(*) = 0 from pg_stat_activity where pid = $1`
)

// testSessions provokes what takes two sessions.
func (p *provoked) testSessions(t *testing.T) {
	cluster := server.Cluster(t)
	url := pgclustertest.Database(t, cluster)
	admin := connect(t, url)
	must(t, admin, `create table n (id int primary key, v int)`, `insert into n values (1, 0), (2, 0)`)
	pair := func(t *testing.T) (a, b *pgx.Conn) {
		t.Helper()
		return connect(t, url), connect(t, url)
	}
	later := func(t *testing.T, conn *pgx.Conn, sql string) <-chan error {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- exec(t, conn, sql) }()
		return done
	}

	t.Run("40001 of a concurrent update", func(t *testing.T) {
		a, b := pair(t)
		must(t, a, `begin isolation level repeatable read`, `select * from n`)
		must(t, b, `update n set v = v + 1 where id = 1`)
		p.expect(t, "40001", exec(t, a, `update n set v = v + 1 where id = 1`))
	})
	t.Run("40001 at COMMIT", func(t *testing.T) {
		a, b := pair(t)
		must(t, a, `begin isolation level serializable`, `select sum(v) from n where id = 1`)
		must(t, b, `begin isolation level serializable`, `select sum(v) from n where id = 2`)
		must(t, a, `update n set v = 7 where id = 2`)
		must(t, b, `update n set v = 7 where id = 1`)
		must(t, a, `commit`)
		p.expect(t, "40001", exec(t, b, `commit`))
		var sevens int
		if err := admin.QueryRow(t.Context(), `select count(*) from n where v = 7`).Scan(&sevens); err != nil || sevens != 1 {
			t.Errorf("effect none, but %d rows were written (%v), want the winner's one", sevens, err)
		}
	})
	t.Run("40P01", func(t *testing.T) {
		a, b := pair(t)
		must(t, a, `begin`, `set local deadlock_timeout = '10ms'`, `update n set v = 1 where id = 1`)
		must(t, b, `begin`, `set local deadlock_timeout = '1min'`, `update n set v = 1 where id = 2`)
		blocked := later(t, b, `update n set v = 2 where id = 1`)
		waitFor(t, admin, isBlocked, pid(b))
		p.expect(t, "40P01", exec(t, a, `update n set v = 2 where id = 2`))
		must(t, a, `rollback`)
		if err := <-blocked; err != nil {
			t.Errorf("the survivor of the deadlock: %v", err)
		}
		must(t, b, `rollback`)
	})
	t.Run("55P03", func(t *testing.T) {
		a, b := pair(t)
		must(t, a, `begin`, `lock table n`)
		must(t, b, `begin`)
		p.expect(t, "55P03", exec(t, b, `lock table n nowait`))
		must(t, b, `rollback`, `set lock_timeout = '10ms'`)
		p.expect(t, "55P03", exec(t, b, `select * from n`))
		must(t, a, `rollback`)
		must(t, b, `select * from n`) // retry is worth it: the lock is free again
	})
	t.Run("55006 while others are connected", func(t *testing.T) {
		p.expect(t, "55006", exec(t, connect(t, cluster.URL("postgres")), `drop database `+admin.Config().Database))
	})
	t.Run("57014 on request", func(t *testing.T) {
		a, _ := pair(t)
		asleep := later(t, a, `select pg_sleep(60)`)
		waitFor(t, admin, isAsleep, pid(a))
		if _, err := admin.Exec(t.Context(), `select pg_cancel_backend($1)`, pid(a)); err != nil {
			t.Fatal(err)
		}
		p.expectVerdict(t, pgerr.Verdict{SQLState: "57014", Category: pgerr.CategoryCanceled}, <-asleep)
	})
	t.Run("57P01 in flight and idle", func(t *testing.T) {
		a, b := pair(t)
		asleep := later(t, a, `select pg_sleep(60)`)
		waitFor(t, admin, isAsleep, pid(a))
		if _, err := admin.Exec(t.Context(), `select pg_terminate_backend(p) from unnest($1::int[]) p`, []int{pid(a), pid(b)}); err != nil {
			t.Fatal(err)
		}
		p.expect(t, "57P01", <-asleep)
		waitFor(t, admin, isGone, pid(b))
		p.expect(t, "57P01", exec(t, b, `select 1`))
	})
	t.Run("25P03", func(t *testing.T) {
		a, _ := pair(t)
		must(t, a, `set idle_in_transaction_session_timeout = '10ms'`, `begin`)
		waitFor(t, admin, isGone, pid(a))
		p.expect(t, "25P03", exec(t, a, `select 1`))
	})
	t.Run("57P05", func(t *testing.T) {
		a, _ := pair(t)
		must(t, a, `set idle_session_timeout = '10ms'`)
		waitFor(t, admin, isGone, pid(a))
		p.expect(t, "57P05", exec(t, a, `select 1`))
	})
}
