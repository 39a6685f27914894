package perdurepgx_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// patient is a Manager that waits for the server instead of giving up.
func patient() perdure.Config {
	return perdure.Config{Policy: perdure.Policy{Park: time.Minute, MaxAttempts: 20}, Budget: perdure.BudgetConfig{Off: true}}
}

// meanwhile runs do when the proxy strikes, before anything else gets through.
func meanwhile(t *testing.T, c *pgcluster.Cluster, r faultproxy.Rule, do func()) string {
	t.Helper()
	cfg := faultproxy.Config{}
	var proxy *faultproxy.Proxy
	cfg.OnFault = func(faultproxy.Fault) {
		proxy.Refuse(true)
		if r.Action == faultproxy.Notify {
			proxy.CutAll(faultproxy.RST) // only now, so that nobody can ask before do
		}
		do()
		proxy.Refuse(false)
	}
	proxy, url := faultproxytest.Before(t, c.URL("postgres"), cfg)
	r.Name, r.Count = "strike", 1
	faultproxytest.Add(t, proxy, r)
	return url
}

func beforeCommit() faultproxy.Rule {
	return faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.Query, Text: faultproxy.Is("commit")}, Action: faultproxy.RST, Side: faultproxy.ClientSide, Hold: time.Minute}
}

// After a crash the xid of a transaction that was never written is handed out
// again, and pg_xact_status says "committed" of it.
func TestP16ReusedXIDIsNotTakenForACommit(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	ctx := t.Context()
	var oldXID, newXID int64
	url := meanwhile(t, c, beforeCommit(), func() {
		direct, err := pgx.Connect(ctx, c.URL("postgres"))
		if err != nil {
			t.Error(err)
			return
		}
		if err := direct.QueryRow(ctx, "select backend_xid::text::bigint from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()").
			Scan(&oldXID); err != nil {
			t.Error(err)
		}
		_ = direct.Close(ctx)
		if err := errors.Join(c.Kill(), c.Start(ctx)); err != nil {
			t.Error(err)
			return
		}
		if direct, err = pgx.Connect(ctx, c.URL("postgres")); err != nil {
			t.Error(err)
			return
		}
		defer direct.Close(ctx)
		for newXID < oldXID {
			if err := direct.QueryRow(ctx, "insert into other values (1) returning pg_current_xact_id()::text::bigint").Scan(&newXID); err != nil {
				t.Error(err)
				return
			}
		}
		var status string
		if err := direct.QueryRow(ctx, "select pg_xact_status($1::text::xid8)", strconv.FormatInt(oldXID, 10)).Scan(&status); err != nil || status != "committed" {
			t.Errorf("pg_xact_status = %q, %v: the fault was not reproduced", status, err)
		}
	})
	b := openAt(t, url, c.URL("postgres"), patient(), perdurepgx.Config{}, nil)
	b.exec(t, "create table t (id bigint); create table other (v int)")
	attempts := 0
	err := b.InTx(ctx, opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		attempts++
		return insert(1)(ctx, tx)
	})
	check, cerr := pgx.Connect(ctx, c.URL("postgres"))
	if cerr != nil {
		t.Fatal(cerr)
	}
	defer check.Close(ctx)
	b.check = check
	if err != nil || attempts != 2 || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v after %d attempts with %d rows, want nil after 2 with 1", err, attempts, b.count(t, "t"))
	}
	if seen := b.seen.take(); len(seen) != 1 || seen[0].Resolution != perdure.Aborted {
		t.Errorf("outcomes = %+v, want aborted", seen)
	}
}

// pgconn.SafeToRetry is true for commits that did commit.
func TestP14SafeToRetryIsNoEvidence(t *testing.T) {
	t.Parallel()
	b, proxy := through(t, perdure.Config{}, perdurepgx.Config{})
	faultproxytest.Add(t, proxy, faultproxy.Rule{
		Name: "reply", Action: faultproxy.FIN, Every: 2,
		Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")},
	})
	const n = 50
	for i := range n {
		if err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(i)); err != nil {
			t.Fatal(err) // a repeat would meet the primary key
		}
	}
	if got := b.count(t, "t"); got != n {
		t.Errorf("%d rows, want %d", got, n)
	}
	if seen := len(b.seen.take()); seen < n/2 { // the resolver's own replies are cut too
		t.Errorf("%d commits were in doubt, want at least %d", seen, n/2)
	}
}

// A clean restart keeps xids and statistics: a Token is exact across it.
func TestTokenIsExactAcrossARestart(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	rule := faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}}
	url := meanwhile(t, c, rule, func() {
		if err := errors.Join(c.Stop(t.Context(), pgcluster.Fast), c.Start(t.Context())); err != nil {
			t.Error(err)
		}
	})
	b := openAt(t, url, c.URL("postgres"), patient(), perdurepgx.Config{Outcome: perdurepgx.Token}, nil)
	b.exec(t, "create table t (id bigint)")
	err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(1))
	seen := b.seen.take()
	if err != nil || len(seen) != 1 || seen[0].Resolution != perdure.Committed {
		t.Errorf("InTx = %v, outcomes %+v, want committed", err, seen)
	}
}

// After a crash a Token cannot prove "committed", and says so.
func TestTokenSaysUnknownAfterACrash(t *testing.T) {
	t.Parallel()
	for _, method := range []perdurepgx.Outcome{perdurepgx.Token, perdurepgx.Marker} {
		c := pgclustertest.New(t, pgcluster.Config{})
		rule := faultproxy.Rule{Match: faultproxy.Match{Message: faultproxy.CommandComplete, Text: faultproxy.Is("COMMIT")}, Skip: 1}
		url := meanwhile(t, c, rule, func() {
			if err := errors.Join(c.Kill(), c.Start(t.Context())); err != nil {
				t.Error(err)
			}
		})
		b := openAt(t, url, c.URL("postgres"), patient(), perdurepgx.Config{Outcome: method}, nil)
		b.exec(t, "create table t (id bigint)")
		if err := b.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := b.InTx(t.Context(), opLoad, pgx.TxOptions{}, insert(1))
		e, ok := errors.AsType[*perdure.Error](err)
		switch {
		case method == perdurepgx.Marker && err != nil:
			t.Errorf("Marker: InTx = %v, want nil", err)
		case method == perdurepgx.Token && (!ok || e.Reason != perdure.ReasonOutcomeUnknown || e.Hint == "" || !errors.Is(err, perdure.ErrOutcomeUnknown)):
			t.Errorf("Token: InTx = %v, want outcome_unknown with a hint", err)
		}
		if seen := b.seen.take(); ok && (len(seen) != 1 || seen[0].CorrelationID == "" || seen[0].CorrelationID != e.CorrelationID) {
			t.Errorf("the outcome %+v and the error have not one correlation ID: %q", seen, e.CorrelationID)
		}
	}
}

// A context that ends during COMMIT must not end the wait for the standby.
func TestSynchronousReplicationKeepsItsPromise(t *testing.T) {
	t.Parallel()
	primary := pgclustertest.New(t, pgcluster.Config{})
	replica := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{Synchronous: true})
	proxy, through := faultproxytest.Before(t, primary.URL("postgres"), faultproxy.Config{})
	b := openAt(t, through, primary.URL("postgres"), patient(), perdurepgx.Config{CommitTimeout: 300 * time.Millisecond}, nil)
	b.exec(t, "create table t (id bigint)")
	b.migrate(t)
	for i, method := range []string{"caller's deadline and commit timeout", "connection cut"} {
		if err := replica.Freeze(); err != nil {
			t.Fatal(err)
		}
		var cut *faultproxy.RuleHandle
		if i == 1 {
			cut = faultproxytest.Add(t, proxy, faultproxy.Rule{
				Name: "cut", Count: 1, When: faultproxy.After, Action: faultproxy.FIN,
				Match: faultproxy.Match{Message: faultproxy.Query, Text: isCommit},
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- b.InTx(ctx, opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
				defer time.AfterFunc(500*time.Millisecond, cancel) // while COMMIT waits for the standby
				return insert(i)(ctx, tx)
			})
		}()
		watch := time.NewTimer(1500 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case err := <-done:
				t.Fatalf("%s: InTx = %v while the standby is frozen", method, err)
			case <-watch.C:
				waiting = false
			default:
				var visible int
				if err := b.check.QueryRow(t.Context(), "select count(*) from t where id = $1", i).Scan(&visible); err != nil || visible != 0 {
					t.Fatalf("%s: %d rows are visible (%v) before they are replicated", method, visible, err)
				}
			}
		}
		if err := replica.Thaw(); err != nil {
			t.Fatal(err)
		}
		err := <-done
		cancel()
		// The resolver may come before a COMMIT that is still on its way; then that never can be.
		want := i + 1
		if i == 1 && errors.Is(err, context.Canceled) {
			want, err = i, nil
		}
		if err != nil {
			t.Errorf("%s: InTx = %v, want nil once the standby is back", method, err)
		}
		if n := b.count(t, "t"); n != want {
			t.Errorf("%s: %d rows, want %d", method, n, want)
		}
		if cut != nil && cut.Hits() != 1 {
			t.Errorf("the connection was not cut")
		}
	}
	if n := proxy.Stats().Cancels; n != 0 {
		t.Errorf("%d CancelRequests were sent, want none", n)
	}
}

// A primary that became a standby is noticed, and the pool finds the new one.
func TestDemotedPrimaryIsLeft(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	first := pgclustertest.New(t, pgcluster.Config{})
	second := pgclustertest.Replica(t, first, pgcluster.ReplicaConfig{})
	proxy, through := faultproxytest.Before(t, first.URL("postgres"), faultproxy.Config{})
	u, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	u.Host += "," + second.Addr()
	b := openAt(t, u.String(), first.URL("postgres"), patient(), perdurepgx.Config{}, func(p *pgxpool.Config) { p.MaxConns = 3 })
	b.exec(t, "create table t (id bigint)")
	if err := b.InTx(ctx, opLoad, pgx.TxOptions{}, insert(1)); err != nil {
		t.Fatal(err)
	}
	if err := second.CatchUp(ctx, first); err != nil {
		t.Fatal(err)
	}
	// The proxy's host becomes a standby of the promoted one, under the open connections' feet.
	third := pgclustertest.Replica(t, first, pgcluster.ReplicaConfig{Name: "third"})
	if err := second.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	proxy.SetTarget(third.Addr())
	proxy.CutAll(faultproxy.FIN)
	if err := b.InTx(ctx, opLoad, pgx.TxOptions{}, insert(2)); err != nil {
		t.Errorf("InTx = %v, want nil on the promoted server", err)
	}
	check, err := pgx.Connect(ctx, second.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer check.Close(ctx)
	b.check = check
	if n := b.count(t, "t"); n != 2 {
		t.Errorf("%d rows on the promoted server, want 2", n)
	}
}

// When the database's breaker opens, no connection of before is used again.
func TestPoolIsDrainedWhenTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	b := openAt(t, c.URL("postgres"), "", patient(), perdurepgx.Config{}, func(p *pgxpool.Config) { p.MaxConns = 2 })
	pid := func() (n int) {
		if err := b.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	before := pid()
	down := b.m.DatabaseUp()
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	b.m.Suspect("the test froze it")
	for {
		if now := b.m.DatabaseUp(); now != down {
			break // it opened
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the breaker did not open")
		default:
		}
	}
	if err := c.Thaw(); err != nil {
		t.Fatal(err)
	}
	if after := pid(); after == before {
		t.Errorf("backend %d is still in use, want a new one", after)
	}
}
