// Package server compares guarded work on a live PostgreSQL server with the
// same statements on the bare pool.
package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

// connections is the size of every pool: few, as two cores serve no more at a time.
const connections = 8

const (
	readOne  = "select v from bench where id = $1"
	writeOne = "insert into bench_log (v) values ($1)"
	rows     = 1000
	batched  = 5 // statements of a batch
)

// Way is one way to do a Kind of work.
type Way struct {
	Name string
	// Do does it once; i differs from call to call.
	Do func(ctx context.Context, i int) error
}

// Kind is a kind of work with the ways to do it, the bare one first.
type Kind struct {
	Name string
	Ways []Way
}

// Open prepares a database and returns what is to be compared on it, and what ends it. Transactions come twice: with
// commits that wait for the disk, as they do by default, and with commits that do not.
func Open(ctx context.Context, url string) (kinds []Kind, closed func(), err error) {
	kinds, endWaiting, err := open(ctx, url, "on")
	if err != nil {
		return nil, nil, err
	}
	others, endOthers, err := open(ctx, url, "off")
	if err != nil {
		endWaiting()
		return nil, nil, err
	}
	for _, k := range others {
		if k.Name == Transaction {
			k.Name += ", not waiting for the disk"
			kinds = append(kinds, k)
		}
	}
	return kinds, func() { endWaiting(); endOthers() }, nil
}

// Transaction is the name of the Kind that writes.
const Transaction = "transaction"

// open does it with one setting of synchronous_commit.
func open(ctx context.Context, url, commits string) (kinds []Kind, closed func(), err error) {
	var ends []func()
	end := func() {
		for _, f := range ends {
			f()
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	bare, err := openBare(ctx, url, commits)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, bare.Close)
	token, endToken, err := openGuarded(ctx, url, commits, perdurepgx.Token)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, endToken)
	marker, endMarker, err := openGuarded(ctx, url, commits, perdurepgx.Marker)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, endMarker)
	op := perdure.Op{Name: "bench.log"}
	inTx := func(db *perdurepgx.DB) func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			return db.InTx(ctx, op, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error { return write(ctx, tx, i) })
		}
	}
	return []Kind{
		{"one statement", []Way{
			{"pgxpool", func(ctx context.Context, i int) error { return read(ctx, bare, i) }},
			{"perdurepgx", func(ctx context.Context, i int) error { return read(ctx, token, i) }},
		}},
		{Transaction, []Way{
			{"pgx.BeginFunc", func(ctx context.Context, i int) error {
				return pgx.BeginFunc(ctx, bare, func(tx pgx.Tx) error { return write(ctx, tx, i) })
			}},
			{"InTx, Token", inTx(token)},
			{"InTx, Marker", inTx(marker)},
		}},
		{fmt.Sprintf("batch of %d", batched), []Way{
			{"pgxpool", func(ctx context.Context, i int) error { return batch(ctx, bare, i) }},
			{"perdurepgx", func(ctx context.Context, i int) error { return batch(ctx, token, i) }},
		}},
	}, end, nil
}

// database is what the bare pool and the guarded one have in common.
type database interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

func read(ctx context.Context, db database, i int) error {
	var v int
	return db.QueryRow(ctx, readOne, i%rows).Scan(&v)
}

func write(ctx context.Context, tx pgx.Tx, i int) error {
	_, err := tx.Exec(ctx, writeOne, i)
	return err
}

func batch(ctx context.Context, db database, i int) error {
	b := &pgx.Batch{}
	var sum int
	for k := range batched {
		b.Queue(readOne, (i+k)%rows).QueryRow(func(row pgx.Row) error {
			var v int
			err := row.Scan(&v)
			sum += v
			return err
		})
	}
	return db.SendBatch(ctx, b).Close()
}

func poolConfig(url, commits string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.RuntimeParams["synchronous_commit"] = commits
	cfg.MaxConns, cfg.MinConns = connections, connections
	return cfg, nil
}

func openBare(ctx context.Context, url, commits string) (*pgxpool.Pool, error) {
	cfg, err := poolConfig(url, commits)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, fmt.Sprintf(`
		create table if not exists bench (id int primary key, v int not null);
		insert into bench select i, i from generate_series(0, %d) i on conflict do nothing;
		create table if not exists bench_log (id bigint generated always as identity primary key, v int not null)`, rows-1))
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func openGuarded(ctx context.Context, url, commits string, method perdurepgx.Outcome) (*perdurepgx.DB, func(), error) {
	m, err := perdure.New(perdure.Config{Name: "bench-" + method.String()})
	if err != nil {
		return nil, nil, err
	}
	cfg, err := poolConfig(url, commits)
	if err != nil {
		return nil, nil, err
	}
	db, err := perdurepgx.Open(ctx, cfg, m, perdurepgx.Config{Outcome: method})
	if err != nil {
		return nil, nil, err
	}
	closed := func() {
		end(ctx, m)
		db.Close()
	}
	if method == perdurepgx.Marker {
		if err := db.Migrate(ctx); err != nil {
			closed()
			return nil, nil, errors.Join(errors.New("perdure's table"), err)
		}
	}
	return db, closed, nil
}
