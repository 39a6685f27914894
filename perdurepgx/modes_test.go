package perdurepgx_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

// All of the package works in each of pgx's ways to run a query, on a pool of one.
func TestEveryQueryExecMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			direct := server.Database(t)
			proxy, url := faultproxytest.Before(t, direct, faultproxy.Config{})
			b := openAt(t, url, direct, perdure.Config{}, perdurepgx.Config{}, func(p *pgxpool.Config) {
				p.MaxConns, p.ConnConfig.DefaultQueryExecMode = 1, mode
			})
			b.exec(t, "create table t (id bigint)")
			id := 0
			for _, migrated := range []bool{false, true} {
				if migrated {
					b.migrate(t)
				}
				for _, rule := range []faultproxy.Rule{replyLost(0), commitKeptBack(0), replyLost(9)} {
					id++
					handle := faultproxytest.Add(t, proxy, rule)
					if err := b.InTx(ctx, opLoad, pgx.TxOptions{}, insert(id)); err != nil || b.count(t, "t") != id {
						t.Errorf("InTx = %v with %d rows, want %d", err, b.count(t, "t"), id)
					}
					handle.Remove()
				}
			}
			for range 2 {
				got, err := perdurepgx.Once(ctx, b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) ([]string, error) {
					return []string{"a'\\", "b"}, insert(100)(ctx, tx)
				})
				if err != nil || len(got) != 2 || b.count(t, "t") != id+1 {
					t.Errorf("Once = %v, %v with %d rows, want its result and %d", got, err, b.count(t, "t"), id+1)
				}
			}
			id++
			batch := &pgx.Batch{}
			batch.Queue("insert into t values ($1)", 200)
			batch.Queue("select count(*) from t")
			results := b.SendBatch(ctx, batch)
			if _, err := results.Exec(); err != nil {
				t.Errorf("batch: %v", err)
			}
			var n int
			if err := results.QueryRow().Scan(&n); err != nil || n != id+1 {
				t.Errorf("batch: %d, %v, want %d", n, err, id+1)
			}
			if err := results.Close(); err != nil {
				t.Errorf("batch: %v", err)
			}
			if n, err := b.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"id"}, pgx.CopyFromRows([][]any{{int64(1)}, {int64(2)}})); n != 2 || err != nil {
				t.Errorf("CopyFrom = %d, %v, want 2", n, err)
			}
			if n, err := b.Forget(ctx, "k", "l"); n != 1 || err != nil {
				t.Errorf("Forget = %d, %v, want 1", n, err)
			}
			b.exec(t, "update perdure.outcome set at = now() - interval '2 days'")
			b.Prune()
			if n := b.count(t, "perdure.outcome"); n != 0 {
				t.Errorf("%d markers are left after Prune, want none", n)
			}
		})
	}
}
