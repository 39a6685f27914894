package perdurepgx_test

import (
	"context"
	"encoding/binary"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

// otherPID shows a client another process id than its backend's, as a pooler does.
type otherPID struct {
	r    io.Reader
	done bool
}

func (o *otherPID) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	for i := 0; !o.done && i+9 <= n; i++ {
		if p[i] == 'K' && binary.BigEndian.Uint32(p[i+1:]) == 12 {
			binary.BigEndian.PutUint32(p[i+5:], 1<<30+7)
			o.done = true
		}
	}
	return n, err
}

// Behind a pooler a backend is known by its transaction.
func TestBehindAPooler(t *testing.T) {
	t.Parallel()
	kept := faultproxy.Rule{
		Name: "kept", Count: 1, Action: faultproxy.RST, Side: faultproxy.ClientSide,
		Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit},
	}
	half := kept
	half.Match.Text = faultproxy.Contains("'here'")
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		for name, rule := range map[string]faultproxy.Rule{
			"reply lost": replyLost(0), "COMMIT never arrives": kept, "half open": half,
		} {
			for _, once := range []bool{false, true} {
				if once && method == perdurepgx.Token || name == "half open" && (once || method == perdurepgx.Token) {
					continue // a backend behind a pooler is known only with a marker
				}
				if once {
					name += ", once"
				}
				t.Run(method.String()+"/"+name, func(t *testing.T) {
					t.Parallel()
					direct := server.Database(t)
					proxy, url := faultproxytest.Before(t, direct, faultproxy.Config{})
					b := openAt(t, url, direct, perdure.Config{}, perdurepgx.Config{}, func(p *pgxpool.Config) {
						p.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
						p.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
							return pgproto3.NewFrontend(&otherPID{r: r}, w)
						}
					})
					b.exec(t, "create table c (n int); insert into c values (0)")
					if method == perdurepgx.Marker {
						b.migrate(t)
					}
					faultproxytest.Add(t, proxy, rule)
					work := func(ctx context.Context, tx pgx.Tx) error {
						if tx.Conn().PgConn().PID() != 1<<30+7 {
							t.Error("the client knows its backend")
						}
						if _, err := tx.Exec(ctx, "update c set n = n + 1"); err != nil {
							return err
						}
						_, err := tx.Exec(ctx, "select 'here'")
						return err
					}
					var err error
					if once {
						_, err = perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) { return 1, work(ctx, tx) })
					} else {
						err = b.InTx(t.Context(), opLoad, pgx.TxOptions{}, work)
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
	}
}
