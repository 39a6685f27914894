package livetest

import (
	"fmt"
	"testing"

	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pgerr"
)

// testRemote provokes errors that speak of another server. The other server is
// this one, by a loopback connection, or a port where nobody listens.
func (p *provoked) testRemote(t *testing.T) {
	cluster := server.Cluster(t)
	url := pgclustertest.Database(t, cluster)
	conn := connect(t, url)
	loop := fmt.Sprintf("host '127.0.0.1', port '%d', dbname '%s'", cluster.Port(), conn.Config().Database)
	must(t, conn, `create extension dblink`, `create extension postgres_fdw`, `create table t (a int)`,
		`create server self foreign data wrapper postgres_fdw options (`+loop+`)`,
		`create server nobody foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1')`,
		`create user mapping for postgres server self options (user 'postgres')`,
		`create user mapping for postgres server nobody options (user 'postgres')`,
		`create foreign table far (a int) server self options (table_name 't')`,
		`create foreign table nowhere (a int) server nobody`)
	foreign := func(code string, retry pgerr.Retry) pgerr.Verdict {
		return pgerr.Verdict{SQLState: code, Category: pgerr.CategoryForeign, Severity: pgerr.SeverityHigh, Retry: retry}
	}
	p.expectVerdict(t, foreign("08001", pgerr.RetryWait), exec(t, conn, `select * from nowhere`))
	p.expectVerdict(t, foreign("08001", pgerr.RetryWait), exec(t, conn, `select dblink_connect('host=127.0.0.1 port=1')`))
	p.expectVerdict(t, foreign("08003", pgerr.RetryNever), exec(t, conn, `select dblink_disconnect('nosuch')`))
	p.expect(t, "HV00Q", exec(t, conn, `import foreign schema nosuch from server self into public`))

	// The remote session dies in the middle of the local transaction.
	must(t, conn, `begin`, `select * from far`, `savepoint s`)
	must(t, connect(t, url), `select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'postgres_fdw'`)
	p.expectVerdict(t, foreign("08006", pgerr.RetryNever), exec(t, conn, `select * from far`))
	must(t, conn, `rollback to s`)
	p.expectVerdict(t, foreign("08000", pgerr.RetryNever), exec(t, conn, `select * from far`))
	must(t, conn, `rollback`, `select * from far`) // rolled back here, and this session lives on
}
