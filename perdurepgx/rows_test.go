package perdurepgx_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

// A result without rows has given its connection back before the caller sees it.
func TestAResultWithoutRowsLeavesItsConnectionAlone(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	for name, sql := range map[string]string{"a query": "select 1 where false", "a write": "insert into t values (1)"} {
		rows, err := b.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		heard := perdurepgx.Unreplicated(rows)
		heard.Store(true) // by the next one that has the connection
		if rows.Next() || rows.Err() != nil {
			t.Errorf("%s: a row, or an error: %v; want none", name, rows.Err())
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			t.Errorf("%s: after Close: %v", name, err)
		}
		if !heard.Swap(false) {
			t.Errorf("%s: what another statement was to hear has been taken from it", name)
		}
	}
}

func TestRowsGiveValues(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	rows, err := b.Query(t.Context(), "select 1::int8, 'x' union all select 2, 'y' order by 1")
	if err != nil {
		t.Fatal(err)
	}
	var got [][]any
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, v)
	}
	if diff := cmp.Diff([][]any{{int64(1), "x"}, {int64(2), "y"}}, got); diff != "" || rows.Err() != nil {
		t.Errorf("rows (%v):\n%s", rows.Err(), diff)
	}
	var n int
	if err := b.QueryRow(t.Context(), "select 1 where false").Scan(&n); !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("QueryRow without a row = %v, want %v", err, pgx.ErrNoRows)
	}
	if err := b.QueryRow(t.Context(), "select 'x'").Scan(&n); err == nil {
		t.Error("a text was scanned into a number")
	}
	eventually(t, time.Minute, "giving every connection back", func() bool { return b.Pool().Stat().AcquiredConns() == 0 })
}

func TestTheEndsOfABatch(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	send := func(queries ...string) pgx.BatchResults {
		batch := &pgx.Batch{}
		for _, q := range queries {
			batch.Queue(q)
		}
		return b.SendBatch(t.Context(), batch)
	}
	fails := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %v, want it to say %q", what, err, want)
		}
	}

	empty := send()
	_, err := empty.Exec()
	fails("Exec of an empty batch", err, "no more results")
	if err := empty.Close(); err != nil {
		t.Errorf("Close of an empty batch = %v", err)
	}
	_, err = empty.Exec()
	fails("Exec after Close", err, "is closed")

	const tx = "must not begin or end a transaction"
	fails("a batch with COMMIT", send("select 1", "commit").Close(), tx)
	_, err = send("begin", "select 1").Exec()
	fails("a batch with BEGIN", err, tx)

	r := send("select 1", "select 2 where false", "select 3")
	var n int
	if err := r.QueryRow().Scan(&n); err != nil || n != 1 {
		t.Errorf("the first = %d, %v, want 1", n, err)
	}
	if err := r.QueryRow().Scan(&n); !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("the second = %v, want %v", err, pgx.ErrNoRows)
	}
	if err := r.QueryRow().Scan(&n); err != nil || n != 3 {
		t.Errorf("the third = %d, %v, want 3", n, err)
	}
	_, err = r.Exec()
	fails("a fourth of three", err, "no more results")
	if err := r.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}

	r = send("insert into t values (1)", "select 1/0")
	if _, err := r.Exec(); err != nil {
		t.Errorf("the statement before the fault = %v", err)
	}
	if err := r.QueryRow().Scan(&n); !isState(err, "22012") {
		t.Errorf("the fault = %v, want 22012", err)
	}
	if err := r.Close(); !isState(err, "22012") {
		t.Errorf("Close after a fault = %v, want 22012", err)
	}
	if got := b.count(t, "t"); got != 0 {
		t.Errorf("%d rows of a batch that failed, want none", got)
	}
	eventually(t, time.Minute, "giving every connection back", func() bool { return b.Pool().Stat().AcquiredConns() == 0 })
	if n, err := b.Forget(t.Context()); n != 0 || err != nil {
		t.Errorf("Forget of nothing = %d, %v", n, err)
	}
}
