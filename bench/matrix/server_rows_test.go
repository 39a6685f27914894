package matrix

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/pgerr"
)

const groupServer = "The server"

// outage is how long a server is away.
const outage = time.Second

// away are verdicts of a server that is not there.
func away() []pgerr.Category {
	return []pgerr.Category{pgerr.CategoryConnection, pgerr.CategoryShutdown, pgerr.CategoryTimeout}
}

// atCommit does something once, when a COMMIT of the subject's has just gone to its backend; nothing more
// is forwarded on that connection until it returns. It returns when that has been done.
func (p *place) atCommit(do func(pid int) error) {
	p.Helper()
	done := make(chan error, 1)
	p.onFault.Store(new(func(f faultproxy.Fault) {
		if f.Rule == "at commit" {
			done <- do(f.BackendPID)
		}
	}))
	p.rule(faultproxy.Rule{Name: "at commit", Match: commitMessage(), When: faultproxy.After, Count: 1})
	select {
	case err := <-done:
		p.ended(err)
	case <-time.After(patience):
		p.Fatalf("no COMMIT within %s", patience)
	}
}

// start starts the server again.
func (p *place) start() { p.Helper(); p.ended(p.cluster.Start(p.bounded())) }

// felt returns what says whether a connection has since been refused, or a caller been told of an error.
func (p *place) felt() func() bool {
	before, now := p.proxy.Stats().Refused, time.Now()
	return func() bool { return p.proxy.Stats().Refused > before || p.work.failedSince(now) }
}

// up waits until the server answers again.
func (p *place) up() {
	p.Helper()
	p.eventually("recovery of the server", func() bool {
		conn, err := pgx.Connect(p.Context(), p.cluster.URL(p.database))
		if err != nil {
			return false
		}
		return conn.Close(p.Context()) == nil
	})
}

// redialled returns what says whether somebody has since connected anew.
func (p *place) redialled() func() bool {
	before := p.proxy.Stats().Connections
	return func() bool { return p.proxy.Stats().Connections > before }
}

func stopped(mode pgcluster.StopMode) func(p *place) (func(), func() bool) {
	return func(p *place) (func(), func() bool) {
		p.ended(p.cluster.Stop(p.bounded(), mode))
		return p.start, p.felt()
	}
}

func serverRows() []row {
	return []row{
		{
			name: "postmaster-kill", group: groupServer, title: "kill -9 of the postmaster at a COMMIT, a second away", hold: outage,
			strike: func(p *place) (func(), func() bool) {
				p.atCommit(func(int) error { return p.cluster.Kill() })
				return p.start, p.felt()
			},
			want: expectation{categories: away(), statements: true, database: yes},
		},
		{
			name: "backend-kill", group: groupServer, title: "kill -9 of a backend at its COMMIT: all sessions end, the server recovers",
			strike: func(p *place) (func(), func() bool) {
				redialled := p.redialled()
				p.atCommit(p.cluster.KillBackend)
				return p.up, redialled
			},
			want: expectation{categories: away(), statements: true},
		},
		{
			name: "stop-fast", group: groupServer, title: "stop -m fast, a second away", hold: outage,
			strike: stopped(pgcluster.Fast),
			want:   expectation{categories: away(), statements: true, database: yes},
		},
		{
			name: "stop-immediate", group: groupServer, title: "stop -m immediate, a second away", hold: outage,
			strike: stopped(pgcluster.Immediate),
			want:   expectation{categories: away(), statements: true, database: yes},
		},
		{
			name: "restart", group: groupServer, title: "restart",
			strike: func(p *place) (func(), func() bool) {
				redialled := p.redialled()
				p.ended(p.cluster.Restart(p.bounded()))
				return nil, redialled
			},
			want: expectation{statements: true},
		},
		{
			name: "frozen", group: groupServer, title: "the whole server is frozen for 3 s (SIGSTOP)", hold: 3 * time.Second,
			strike: func(p *place) (func(), func() bool) {
				p.ended(p.cluster.Freeze())
				felt := p.felt()
				return func() { p.ended(p.cluster.Thaw()) }, func() bool { return p.work.underway() == callers || felt() }
			},
			want: expectation{categories: away(), statements: true, database: yes}, slow: true,
		},
	}
}
