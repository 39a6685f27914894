package perdurepgx_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

var opLoad = perdure.Op{Name: "test.load"} //nolint:gochecknoglobals // an Op is declared once

// isCommit matches the text of a COMMIT; in Marker mode the marker is before it.
func isCommit(sql string) bool { return strings.HasSuffix(sql, "commit") }

func TestCommitReplyLost(t *testing.T) {
	t.Parallel()
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		for name, tc := range map[string]struct {
			rule       faultproxy.Rule
			resolution perdure.Resolution
			attempts   int
			race       bool // the resolver may come before the COMMIT: then that never can be
		}{
			"reply cut with FIN": {
				faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}, Action: faultproxy.FIN},
				perdure.Committed, 1, false,
			},
			"reply cut with RST": {
				faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}, Action: faultproxy.RST},
				perdure.Committed, 1, false,
			},
			"cut once COMMIT is forwarded": {
				faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit}, When: faultproxy.After, Action: faultproxy.RST, Side: faultproxy.ClientSide},
				perdure.Committed, 1, true,
			},
			"COMMIT cut with FIN": {
				faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit}, Action: faultproxy.FIN},
				perdure.Aborted, 2, false,
			},
			"COMMIT cut with RST": {
				faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit}, Action: faultproxy.RST},
				perdure.Aborted, 2, false,
			},
			"COMMIT never arrives and the server does not notice": {
				faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit}, Action: faultproxy.RST, Side: faultproxy.ClientSide},
				perdure.Aborted, 2, false,
			},
		} {
			t.Run(method.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
				if method == perdurepgx.Marker {
					b.migrate(t)
				} else if got := b.Outcome(); got != perdurepgx.Token {
					t.Fatalf("Outcome() = %v without the table, want token", got)
				}
				tc.rule.Name, tc.rule.Count = name, 1
				rule := faultproxytest.Add(t, proxy, tc.rule)
				attempts := 0
				err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
					attempts++
					return insert(1)(ctx, tx)
				})
				seen := b.seen.take()
				if tc.race && attempts == 2 {
					tc.resolution, tc.attempts = perdure.Aborted, 2
				}
				if err != nil || attempts != tc.attempts || rule.Hits() != 1 {
					t.Errorf("InTx = %v after %d attempts and %d faults, want nil after %d and 1", err, attempts, rule.Hits(), tc.attempts)
				}
				if n := b.count(t, "t"); n != 1 {
					t.Errorf("%d rows, want 1", n)
				}
				if len(seen) != 1 || seen[0].Resolution != tc.resolution || seen[0].Method != method.String() {
					t.Errorf("outcomes = %+v, want one: %s by %s", seen, tc.resolution, method)
				}
			})
		}
	}
}

// A COMMIT whose reply has arrived happened, whatever fails after it.
func TestCommitReplyIsEnough(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.flaky(t)
	opts := pgx.TxOptions{CommitQuery: "commit; select flaky()"}
	err := b.InTx(t.Context(), opLoad, opts, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into t (id) select count(*) from t")
		return err
	})
	if err != nil || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v with %d rows, want nil and 1", err, b.count(t, "t"))
	}
}

func TestOnceRunsOnce(t *testing.T) {
	t.Parallel()
	b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
	work := func(id int) func(context.Context, pgx.Tx) (string, error) {
		return func(ctx context.Context, tx pgx.Tx) (string, error) {
			return "it's done \\ 'twice'", insert(id)(ctx, tx)
		}
	}
	_, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", work(1))
	if err == nil {
		t.Fatal("Once without the table = nil, want an error")
	}
	b.migrate(t)
	faultproxytest.Add(t, proxy, faultproxy.Rule{
		Name: "reply", Count: 1, Action: faultproxy.FIN,
		Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
	})
	for range 3 {
		got, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", work(1))
		if err != nil || got != "it's done \\ 'twice'" {
			t.Fatalf("Once = %q, %v, want the result", got, err)
		}
	}
	var resolutions []perdure.Resolution
	for _, e := range b.seen.take() {
		resolutions = append(resolutions, e.Resolution)
	}
	want := []perdure.Resolution{perdure.Committed, perdure.Run, perdure.Remembered, perdure.Remembered}
	if len(resolutions) != len(want) {
		t.Fatalf("outcomes %v, want %v", resolutions, want)
	}
	for i := range want {
		if resolutions[i] != want[i] {
			t.Fatalf("outcomes %v, want %v", resolutions, want)
		}
	}
	if n := b.count(t, "t"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	if n, err := b.Forget(t.Context(), "k", "other"); n != 1 || err != nil {
		t.Errorf("Forget = %d, %v, want 1", n, err)
	}
	if _, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", work(2)); err != nil || b.count(t, "t") != 2 {
		t.Errorf("Once after Forget = %v with %d rows, want a second", err, b.count(t, "t"))
	}
}

func TestFunctionErrorRollsBackUntouched(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	own := errors.New("no")
	err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if err := insert(1)(ctx, tx); err != nil {
			return err
		}
		return own
	})
	if err != own { //nolint:errorlint // untouched is the point
		t.Errorf("InTx = %v, want the function's own error", err)
	}
	if n := b.count(t, "t"); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func TestOneManagerGuardsOneDatabaseAtATime(t *testing.T) {
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	again := func() (*perdurepgx.DB, error) {
		return perdurepgx.Open(t.Context(), b.Pool().Config(), b.m, perdurepgx.Config{})
	}
	if _, err := again(); err == nil || !strings.Contains(err.Error(), "one Manager guards one database") {
		t.Fatalf("a second Open with the same Manager: %v", err)
	}
	b.Close()
	db, err := again()
	if err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	defer db.Close()
	if _, err := db.Exec(t.Context(), "insert into t (id) values (1)"); err != nil {
		t.Error(err)
	}
}
