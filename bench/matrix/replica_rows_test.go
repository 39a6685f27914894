package matrix

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pgerr"
)

const groupReplica = "The primary"

// withStandby gives the server of a place a standby.
func (p *place) withStandby(s standby) {
	if s == alone {
		return
	}
	p.second = pgclustertest.Replica(p, p.cluster, pgcluster.ReplicaConfig{Synchronous: s == synchronous})
}

// failOver kills the primary, promotes the standby and sends everybody there. What an asynchronous standby has not got of what was
// acknowledged before is dropped, whoever the client is.
func (p *place) failOver() {
	p.Helper()
	p.proxy.Refuse(true)
	p.proxy.CutAll(faultproxy.RST)
	p.ended(p.cluster.Kill())
	p.ended(p.second.Promote(p.bounded()))
	if p.row.standby == asynchronous {
		p.failedOver = time.Now()
	}
	p.cluster = p.second
	p.proxy.SetTarget(p.second.Addr())
	p.proxy.Refuse(false)
}

// cutOff stops what sends the standby its WAL, so that it gets no more.
func (p *place) cutOff() {
	p.Helper()
	p.ended(p.cluster.FreezeBackend(p.ask("select pid from pg_stat_replication")))
}

func replicaRows() []row {
	const groups = groupReplica
	return []row{
		{
			name: "failover-async", group: groups, title: "the primary is killed at a COMMIT, an asynchronous standby promoted", standby: asynchronous,
			strike: func(p *place) (func(), func() bool) {
				felt := p.felt()
				p.atCommit(func(int) error { p.proxy.Refuse(true); p.proxy.CutAll(faultproxy.RST); return nil })
				return p.failOver, felt
			},
			want: expectation{categories: away(), statements: true}, slow: true,
		},
		{
			name: "failover-sync", group: groups, title: "the primary is killed at a COMMIT, a synchronous standby promoted", standby: synchronous,
			strike: func(p *place) (func(), func() bool) {
				felt := p.felt()
				p.atCommit(func(int) error { p.proxy.Refuse(true); p.proxy.CutAll(faultproxy.RST); return nil })
				return p.failOver, felt
			},
			want: expectation{categories: away(), statements: true}, slow: true,
		},
		{
			name: "sync-wait-cancelled", group: groups, title: "an operator cancels the wait for the synchronous standby, which is then promoted", standby: synchronous,
			strike: func(p *place) (func(), func() bool) {
				p.cutOff()
				const waits = "from pg_stat_activity where usename = '" + role + "' and wait_event = 'SyncRep'"
				p.eventually("COMMITs that wait", func() bool { return p.ask("select count(*) "+waits) >= 3 })
				if p.ask("select count(pg_cancel_backend(pid)) "+waits) == 0 {
					p.Fatal("nobody waits any more")
				}
				// What is told success by the cancelled wait is told it now: its next COMMIT waits again.
				p.eventually("COMMITs that wait after the cancel", func() bool { return p.ask("select count(*) "+waits) >= 3 })
				return p.failOver, nil
			},
			want: expectation{categories: away(), statements: true}, slow: true,
		},
		{
			name: "demoted", group: groups, title: "the primary becomes a standby, and open connections stay on it", standby: asynchronous, hold: outage,
			strike: demote,
			want:   expectation{states: []string{"25006"}, categories: []pgerr.Category{pgerr.CategoryReadOnly}, statements: true}, slow: true,
		},
	}
}

// demote makes a standby of the primary and a primary of its standby. The callers stay connected to the old one; mend
// leads new connections to the new one.
func demote(p *place) (mend func(), met func() bool) {
	if !p.work.stop(p.bounded()) {
		p.Fatal("the callers do not pause")
	}
	dir := p.text("show data_directory")
	p.exec("alter system set primary_conninfo = 'host=127.0.0.1 port=" + strconv.Itoa(p.second.Port()) + " user=postgres application_name=old'")
	p.ended(p.cluster.Stop(p.bounded(), pgcluster.Fast)) // when it has sent everything to its standby
	p.ended(p.second.Promote(p.bounded()))
	p.ended(os.WriteFile(filepath.Join(dir, "standby.signal"), nil, 0o644))
	p.ended(p.cluster.Start(p.bounded()))
	p.cluster = p.second
	answered := p.answered("25006")
	p.work.resume()
	return func() { p.proxy.SetTarget(p.second.Addr()) }, answered
}
