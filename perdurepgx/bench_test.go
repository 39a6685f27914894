package perdurepgx_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

// BenchmarkCost compares guarded work with the same work on the bare pool.
func BenchmarkCost(b *testing.B) {
	url := server.Database(b)
	ctx := b.Context()
	bare, err := pgxpool.New(ctx, url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bare.Close)
	if _, err := bare.Exec(ctx, "create table cost (id bigint generated always as identity primary key, v int)"); err != nil {
		b.Fatal(err)
	}
	const one, write = "select 1 where $1 = 1", "insert into cost (v) values ($1)"
	b.Run("select/bare", func(b *testing.B) {
		for b.Loop() {
			if _, err := bare.Exec(ctx, one, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tx/bare", func(b *testing.B) {
		for b.Loop() {
			err := pgx.BeginFunc(ctx, bare, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, write, 1)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		db := openAt(b, url, "", perdure.Config{}, perdurepgx.Config{Outcome: method}, nil)
		if method == perdurepgx.Marker {
			if err := db.Migrate(ctx); err != nil {
				b.Fatal(err)
			}
		} else {
			b.Run("select/guarded", func(b *testing.B) {
				for b.Loop() {
					if _, err := db.Exec(ctx, one, 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run("tx/"+method.String(), func(b *testing.B) {
			for b.Loop() {
				err := db.InTx(ctx, opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
					_, err := tx.Exec(ctx, write, 1)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
