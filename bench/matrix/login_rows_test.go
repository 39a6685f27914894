package matrix

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/pgerr"
)

const groupLogin = "The way in"

// relogin resets every connection, so that all have to log in again, after do; meanwhile nobody can.
func (p *place) relogin(do func()) {
	p.Helper()
	p.proxy.Refuse(true)
	p.proxy.CutAll(faultproxy.RST)
	p.eventually("ending the sessions", func() bool {
		p.proxy.CutAll(faultproxy.RST)
		conn, err := p.dialIn(p.bounded(), "postgres")
		p.ended(err)
		defer conn.Close(p.Context())
		var n int
		p.ended(conn.QueryRow(p.Context(), "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = $1", role).Scan(&n))
		return n == 0
	})
	do()
	p.proxy.Refuse(false)
}

// forbidden is a fault of those who log in, with the answer that they get.
func forbidden(code string, forbid, allow func(p *place)) func(p *place) (func(), func() bool) {
	return func(p *place) (func(), func() bool) {
		answered := p.answered(code)
		p.relogin(func() { forbid(p) })
		return func() { allow(p) }, answered
	}
}

func sqlIn(database, sql string) func(p *place) {
	return func(p *place) { p.execIn(database, sql) }
}

func loginRows() []row {
	return []row{
		{
			name: "slots", group: groupLogin, title: "no connection slot is free for a second", hold: outage,
			settings: map[string]string{"max_connections": "25"},
			strike: func(p *place) (func(), func() bool) {
				var hogs []*pgx.Conn
				answered := p.answered("53300")
				p.relogin(func() { hogs = p.hog() })
				return func() {
					for _, c := range hogs {
						_ = c.Close(p.bounded())
					}
				}, answered
			},
			want: expectation{categories: append(away(), pgerr.CategoryResource), statements: true},
		},
		{
			name: "role-limit", group: groupLogin, title: "the role's connection limit is zero for a second", hold: outage,
			strike: forbidden("53300", sqlIn("postgres", "alter role "+role+" connection limit 0"), sqlIn("postgres", "alter role "+role+" connection limit -1")),
			want:   expectation{categories: append(away(), pgerr.CategoryResource), statements: true},
		},
		{
			name: "password", group: groupLogin, title: "the password is wrong for a second", hold: outage,
			strike: forbidden("28P01", sqlIn("postgres", "alter role "+role+" password 'other'"), sqlIn("postgres", "alter role "+role+" password '"+password+"'")),
			want:   expectation{categories: append(away(), pgerr.CategoryPermission, pgerr.CategoryConfiguration), fails: true},
		},
		{
			name: "database-dropped", group: groupLogin, title: "the database is not there for a second (it is renamed)", hold: outage,
			strike: forbidden("3D000",
				func(p *place) { p.hangUp(); p.execIn("postgres", "alter database "+p.database+" rename to gone") },
				func(p *place) { p.execIn("postgres", "alter database gone rename to "+p.database) }),
			want: expectation{categories: append(away(), pgerr.CategoryPermission, pgerr.CategoryConfiguration), fails: true},
		},
		{
			name: "tls", group: groupLogin, title: "the server shows a certificate that nobody trusts for a second", hold: outage, tls: true,
			strike: func(p *place) (func(), func() bool) {
				dir := p.text("show data_directory")
				saved := map[string][]byte{}
				for _, name := range []string{"server.crt", "server.key"} {
					b, err := os.ReadFile(filepath.Join(dir, name))
					p.ended(err)
					saved[name] = b
				}
				_, err := p.cluster.EnableTLS(p.bounded())
				p.ended(err)
				felt := p.felt()
				p.proxy.CutAll(faultproxy.RST)
				return func() {
					for name, b := range saved {
						p.ended(os.WriteFile(filepath.Join(dir, name), b, 0o600))
					}
					p.ended(p.cluster.Reload(p.bounded()))
				}, felt
			},
			want: expectation{fails: true},
		},
		{
			name: "starting", group: groupLogin, title: "the server refuses because it recovers (57P03), for a second", hold: outage,
			strike: startingUp,
			want:   expectation{categories: away(), statements: true, database: yes},
		},
	}
}

// hog takes every connection slot that an ordinary role may have.
func (p *place) hog() []*pgx.Conn {
	p.Helper()
	var hogs []*pgx.Conn
	for {
		c, err := pgx.Connect(p.bounded(), p.cluster.UserURL(role, password, p.database))
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "53300" {
			return hogs
		}
		p.ended(err)
		hogs = append(hogs, c)
	}
}

// startingUp stops the server and starts it so that it has to recover for as long as a file is there: it refuses
// connections meanwhile, with 57P03, and then comes up on a new timeline.
func startingUp(p *place) (mend func(), met func() bool) {
	dir := p.text("show data_directory")
	hold := filepath.Join(dir, "hold")
	p.exec("alter system set restore_command = 'while test -e " + hold + "; do sleep 0.05; done; false';; alter system set hot_standby = off")
	p.ended(p.cluster.Stop(p.bounded(), pgcluster.Fast))
	for _, name := range []string{"hold", "recovery.signal"} {
		p.ended(os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	answered := p.answered("57P03")
	started := make(chan error, 1)
	ctx := p.bounded()
	go func() { started <- p.cluster.Start(ctx) }()
	return func() {
		p.ended(os.Remove(hold))
		select {
		case err := <-started:
			p.ended(err)
		case <-time.After(patience):
			p.Fatal("the server does not come up")
		}
		p.exec("alter system reset restore_command;; alter system reset hot_standby")
	}, answered
}
