package perdurepgx_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

// A connection breaks in the middle of a transaction and the server does not
// notice: the repeat must not wait for what the first try holds.
func TestRepeatDoesNotWaitForItsOwnFirstTry(t *testing.T) {
	t.Parallel()
	half := func(when faultproxy.When, text string) faultproxy.Rule {
		return faultproxy.Rule{
			Name: "half open", Count: 1, When: when, Action: faultproxy.RST, Side: faultproxy.ClientSide,
			Match: faultproxy.Match{Message: faultproxy.Query, Text: faultproxy.Contains(text)},
		}
	}
	for name, tc := range map[string]struct {
		migrated, once bool
		rule           faultproxy.Rule
	}{
		"by token":                    {false, false, half(faultproxy.Before, "'here'")},
		"by marker":                   {true, false, half(faultproxy.Before, "'here'")},
		"by marker, active":           {true, false, half(faultproxy.After, "'here'")},
		"once":                        {true, true, half(faultproxy.Before, "'here'")},
		"once, its key taken":         {true, true, half(faultproxy.After, "begin_once(")},
		"once, in the midst of it":    {true, true, half(faultproxy.After, "'here'")},
		"once, when it has not begun": {true, true, half(faultproxy.Before, "begin_once(")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
			if tc.migrated {
				b.migrate(t)
			}
			b.exec(t, "create table c (n int); insert into c values (0)")
			faultproxytest.Add(t, proxy, tc.rule)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			first := true
			work := func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "update c set n = n + 1"); err != nil {
					return err
				}
				here := "select 'here', pg_sleep(0)"
				if first && tc.rule.When == faultproxy.After && tc.rule.Match.Text(here) {
					here = "select 'here', pg_sleep(60)"
				}
				first = false
				_, err := tx.Exec(ctx, here)
				return err
			}
			var err error
			if tc.once {
				_, err = perdurepgx.Once(ctx, b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) { return 1, work(ctx, tx) })
			} else {
				err = b.InTx(ctx, opLoad, pgx.TxOptions{}, work)
			}
			var n int
			if err := b.check.QueryRow(t.Context(), "select n from c").Scan(&n); err != nil {
				t.Fatal(err)
			}
			if err != nil || n != 1 {
				t.Errorf("%v, and the work is there %d times, want nil and once", err, n)
			}
		})
	}
}
