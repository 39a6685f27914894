package perdurepgx_test

import (
	"context"
	"net"
	"sync/atomic"
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

// BenchmarkClient compares what a guarded statement costs the client alone with
// what it costs the bare pool: the server's answer to a statement is recorded
// and given again each time, so that neither the network nor the server is in
// the figures.
func BenchmarkClient(b *testing.B) {
	url := server.Database(b)
	ctx := b.Context()
	var replays atomic.Bool
	recorded := func(c *pgxpool.Config) {
		c.MaxConns = 1
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &recorder{Conn: conn, replays: &replays}, err
		}
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	recorded(cfg)
	bare, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bare.Close)
	db := openAt(b, url, "", perdure.Config{}, perdurepgx.Config{Outcome: perdurepgx.Token}, recorded)
	for _, way := range []struct {
		name string
		db   interface {
			QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
		}
	}{{"bare", bare}, {"guarded", db}} {
		b.Run(way.name, func(b *testing.B) {
			read := func() {
				var v int
				if err := way.db.QueryRow(ctx, "select v from (values ($1::int)) as t (v)", 1).Scan(&v); err != nil {
					b.Fatal(err)
				}
			}
			read() // prepares the statement
			read()
			replays.Store(true)
			defer replays.Store(false)
			b.ReportAllocs()
			for b.Loop() {
				read()
			}
		})
	}
}

// recorder is a connection that, once it replays, sends nothing, and gives what
// the server answered to the last write after each.
type recorder struct {
	net.Conn

	replays *atomic.Bool
	answer  []byte
	given   int // of answer
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.given = 0; r.replays.Load() {
		return len(p), nil
	}
	r.answer = r.answer[:0]
	return r.Conn.Write(p)
}

func (r *recorder) Read(p []byte) (int, error) {
	if r.replays.Load() && r.given < len(r.answer) {
		n := copy(p, r.answer[r.given:])
		r.given += n
		return n, nil
	}
	n, err := r.Conn.Read(p)
	r.answer = append(r.answer, p[:n]...)
	return n, err
}
