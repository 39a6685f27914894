package perduresql_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perduresql"
)

// What the guard costs: the same work through the driver's own *sql.DB. The disk
// is left out of it.
func BenchmarkPerdureSQL(b *testing.B) {
	for name, through := range map[string]connecting{"pgx": throughPgx, "pq": throughPq} {
		url := server.Database(b) + "&synchronous_commit=off"
		bare := sql.OpenDB(through(b, url, nil))
		b.Cleanup(func() { _ = bare.Close() })
		token := openAt(b, through, url, url, perdure.Config{}, perduresql.Config{Outcome: perduresql.Token})
		marker := openAt(b, through, url, url, perdure.Config{}, perduresql.Config{Outcome: perduresql.Marker})
		if err := marker.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		token.exec(b, "create table t (id bigint)")
		const read = "select 1"
		write := func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "insert into t values (1)")
			return err
		}
		for what, work := range map[string]func(ctx context.Context) error{
			"statement/bare":    func(ctx context.Context) error { _, err := bare.ExecContext(ctx, read); return err },
			"statement/guarded": func(ctx context.Context) error { _, err := token.ExecContext(ctx, read); return err },
			"tx/bare": func(ctx context.Context) error {
				tx, err := bare.BeginTx(ctx, nil)
				if err != nil {
					return err
				}
				defer func() { _ = tx.Rollback() }()
				if err := write(ctx, tx); err != nil {
					return err
				}
				return tx.Commit()
			},
			"tx/token":  func(ctx context.Context) error { return token.InTx(ctx, opLoad, nil, write) },
			"tx/marker": func(ctx context.Context) error { return marker.InTx(ctx, opLoad, nil, write) },
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := work(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
