package perdurepgx_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// A role without rights of its own can do all that perdure does.
func TestPlainRole(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	if err := c.AddUser(t.Context(), "plain", "secret"); err != nil {
		t.Fatal(err)
	}
	admin := openAt(t, c.URL("postgres"), c.URL("postgres"), perdure.Config{}, perdurepgx.Config{}, nil)
	admin.exec(t, "create table t (id bigint); grant all on t to plain")
	proxy, url := faultproxytest.Before(t, c.UserURL("plain", "secret", "postgres"), faultproxy.Config{})
	plain := openAt(t, url, "", perdure.Config{}, perdurepgx.Config{}, nil)
	plain.check = admin.check
	lost := []faultproxy.Rule{
		{Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}, Action: faultproxy.FIN},
		{Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit}, Action: faultproxy.RST, Side: faultproxy.ClientSide},
	}
	id := 0
	try := func(method string) {
		for _, r := range lost {
			id++
			r.Name, r.Count = method, 1
			faultproxytest.Add(t, proxy, r)
			if err := plain.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(id)); err != nil || plain.count(t, "t") != id {
				t.Errorf("InTx = %v with %d rows, want %d", err, plain.count(t, "t"), id)
			}
			if seen := plain.seen.take(); len(seen) != 1 || seen[0].Method != method {
				t.Errorf("outcomes = %+v, want one by %s", seen, method)
			}
		}
	}
	try("token")
	if err := plain.Migrate(t.Context()); err == nil {
		t.Error("Migrate by a role that may not create a schema = nil, want an error")
	}
	admin.migrate(t)
	plain.migrate(t)
	try("marker")
	for range 2 {
		_, err := perdurepgx.Once(t.Context(), plain.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) { return 1, nil })
		if err != nil {
			t.Errorf("Once = %v", err)
		}
	}
	if _, err := plain.Forget(t.Context(), "k"); !isState(err, "42501") {
		t.Errorf("Forget by a plain role = %v, want 42501", err)
	}
	if n, err := admin.Forget(t.Context(), "k"); n != 1 || err != nil {
		t.Errorf("Forget by the owner = %d, %v, want 1", n, err)
	}
	admin.exec(t, "revoke usage on schema perdure from public")
	if err := plain.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(99)); err != nil || plain.Outcome() != perdurepgx.Token {
		t.Errorf("InTx = %v by %s, want nil by token once the table may not be used", err, plain.Outcome())
	}
}

func TestPruneKeepsKeys(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	b.migrate(t)
	b.exec(t, "insert into perdure.outcome (attempt, key, at) values (gen_random_uuid(), null, now() - interval '2 days'), "+
		"(gen_random_uuid(), 'k', now() - interval '2 days'), (gen_random_uuid(), null, now())")
	before := b.count(t, "perdure.outcome")
	var n int
	if err := b.check.QueryRow(t.Context(), "select perdure.prune('1 day')").Scan(&n); err != nil || n != 1 {
		t.Errorf("prune = %d, %v, want 1", n, err)
	}
	if got := b.count(t, "perdure.outcome"); got != before-1 {
		t.Errorf("%d rows are left, want %d", got, before-1)
	}
	if err := b.check.QueryRow(t.Context(), "select perdure.prune('1 minute')").Scan(&n); err != nil || n != 0 {
		t.Errorf("prune of what is fresh = %d, %v, want 0", n, err)
	}
}
