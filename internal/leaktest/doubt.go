package leaktest

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/perdurepgx"
)

// doubtfulCommit loses the reply to a COMMIT and lets nobody connect any more,
// so that its outcome stays unknown: what stands in the way names the user and
// the database, and so may the evidence. It returns the error, with what stood in
// the way.
func doubtfulCommit(t *testing.T, w *ways, serverURL, user string) error {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it has served its purpose
	for _, sql := range []string{"create role " + user + " superuser login", "create table kept (id int)"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	defer conn.Exec(context.WithoutCancel(ctx), "drop role "+user) //nolint:errcheck // the server ends with the tests
	p, through := faultproxytest.Before(t, serverURL, faultproxy.Config{})
	u, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(user)
	pc, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.config()
	cfg.Name = "doubt"
	m, err := perdure.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.attach(t, m)
	db, err := perdurepgx.Open(ctx, pc, m, perdurepgx.Config{ResolveTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
	}()
	faultproxytest.Add(t, p, faultproxy.Rule{
		Name: "reply lost", Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}, Action: faultproxy.RST, Count: 1,
	})
	err = db.InTx(ctx, perdure.Op{Name: "leak.doubt"}, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into kept values (1)")
		p.Refuse(true) // nobody can ask what became of the COMMIT that comes now
		return err
	})
	if e, ok := errors.AsType[*perdure.Error](err); !ok || e.Reason != perdure.ReasonOutcomeUnknown {
		t.Errorf("the commit ended with %v, want its outcome unknown", err)
	}
	if conn, refused := pgx.Connect(ctx, u.String()); refused != nil {
		err = errors.Join(err, refused)
	} else {
		t.Errorf("the proxy does not refuse: %v", conn.Close(ctx))
	}
	return err
}
