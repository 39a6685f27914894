package chaos

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEndsInCommit(t *testing.T) {
	for sql, want := range map[string]bool{
		"commit": true, " COMMIT ; ": true, "select perdure.mark('x'); commit": true, "begin; select 1;commit;": true,
		"": false, "select": false, "telecommit": false, "commit prepared 'x'": false, "commit; select 1": false,
	} {
		if got := endsInCommit(sql); got != want {
			t.Errorf("endsInCommit(%q) = %v, want %v", sql, got, want)
		}
	}
}

// TestTheScheduleHasAllThatIsMeant draws seeds: each schedule has every strike
// of its level once, in order, the same for the same seed, and is over well
// before a run of 638 transactions is.
func TestTheScheduleHasAllThatIsMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		level := rapid.SampledFrom([]Level{Mild, Severe}).Draw(t, "level")
		p := plans()[level]
		made := p.schedule(rand.New(rand.NewPCG(seed, 1)))
		if diff := cmp.Diff(made, p.schedule(rand.New(rand.NewPCG(seed, 1))), cmp.AllowUnexported(strike{})); diff != "" {
			t.Errorf("the same seed made two schedules:\n%s", diff)
		}
		want, got := map[kind]int{}, map[kind]int{}
		for _, k := range p.strikes {
			want[k]++
		}
		last := int64(0)
		for _, s := range made {
			got[s.kind]++
			if s.at <= last || s.down < 200*time.Millisecond || s.down > 600*time.Millisecond {
				t.Errorf("strike %+v after COMMIT %d", s, last)
			}
			last = s.at
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("strikes (-want +got):\n%s", diff)
		}
		if last > 600 {
			t.Errorf("the last strike is at COMMIT %d, after the end", last)
		}
	})
	severe, minimum := map[kind]int{}, SevereMinimum()
	for _, k := range plans()[Severe].strikes {
		severe[k]++
	}
	if severe[killPostmaster] < minimum.PostmasterKills || severe[stopImmediate] < minimum.ImmediateStops || severe[killBackend] < minimum.BackendKills {
		t.Errorf("severe plans %v, which is less than %+v", severe, minimum)
	}
}

func TestAtLeastWantsEachKind(t *testing.T) {
	m := SevereMinimum()
	if !m.AtLeast(m) {
		t.Error("the minimum is not at least itself")
	}
	for name, change := range map[string]func(*Counts){
		"postmaster":  func(c *Counts) { c.PostmasterKills-- },
		"immediate":   func(c *Counts) { c.ImmediateStops-- },
		"backend":     func(c *Counts) { c.BackendKills-- },
		"reply lost":  func(c *Counts) { c.CommitRepliesLost-- },
		"cut":         func(c *Counts) { c.CutBeforeCommit-- },
		"deadlocks":   func(c *Counts) { c.Deadlocks-- },
		"serializing": func(c *Counts) { c.Deadlocks -= 2; c.SerializationFailures++ },
	} {
		c := m
		change(&c)
		if c.AtLeast(m) {
			t.Errorf("%s: %+v passes as at least %+v", name, c, m)
		}
	}
}

func TestALevelThatIsNoneIsRefused(t *testing.T) {
	for _, level := range []Level{Off, "", "wild"} {
		if _, err := New(Config{Level: level, Target: "127.0.0.1:1"}); err == nil {
			t.Errorf("New with level %q = nil, want an error", level)
		}
	}
}

// TestWhatIsCountedHappened runs transactions through severe chaos until all of
// it has struck, and compares its counts with what the client and the server saw.
func TestWhatIsCountedHappened(t *testing.T) {
	cluster := pgclustertest.New(t, pgcluster.Config{Settings: map[string]string{"deadlock_timeout": "50ms"}})
	url := pgclustertest.Database(t, cluster)
	direct, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), direct.ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "create table done (n int); create table pair (id int primary key); insert into pair values (1), (2)"); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())

	c, err := New(Config{
		Level: Severe, Seed: 5, Target: cluster.Addr(), Cluster: cluster, Session: direct.ConnConfig,
		Locks: [2]string{"select from pair where id = 2 for update", "select from pair where id = 1 for update"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()

	proxied := direct.Copy()
	proxied.ConnConfig.Fallbacks = nil
	host, port := splitAddr(t, c.Addr())
	proxied.ConnConfig.Host, proxied.ConnConfig.Port = host, port
	pool, err := pgxpool.NewWithConfig(t.Context(), proxied)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for !c.Counts().AtLeast(SevereMinimum()) {
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "insert into done values (1)")
			if err == nil {
				_, err = tx.Exec(t.Context(), "select from pair where id = 1 for update")
			}
			if err == nil {
				_, err = tx.Exec(t.Context(), "select from pair where id = 2 for update")
			}
			return err
		})
		if err == nil {
			acknowledged++
		}
	}
	pool.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	if !cluster.Running() {
		t.Fatal("the server does not run afterwards")
	}
	conn, err = pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var committed int
	if err := conn.QueryRow(t.Context(), "select count(*) from done").Scan(&committed); err != nil {
		t.Fatal(err)
	}
	n := c.Counts()
	// A kill can hit a COMMIT too, whose reply is then lost without the proxy.
	if silent, kills := committed-acknowledged, n.PostmasterKills+n.ImmediateStops+n.BackendKills; silent < n.CommitRepliesLost || silent > n.CommitRepliesLost+kills {
		t.Errorf("%d commits were done and not acknowledged, %d replies were lost and %d servers killed", silent, n.CommitRepliesLost, kills)
	}
}

// TestTheServerAnswersAfterAStrike: Run ends between two strikes, and whoever looks
// at the result then must not meet a server that recovers.
func TestTheServerAnswersAfterAStrike(t *testing.T) {
	cluster := pgclustertest.New(t, pgcluster.Config{})
	c, err := New(Config{Level: Severe, Target: cluster.Addr(), Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, k := range []kind{killBackend, killPostmaster, stopImmediate, killBackend} {
		victim, err := pgx.Connect(t.Context(), cluster.URL("postgres"))
		if err != nil {
			t.Fatalf("before a %s: %v", k, err)
		}
		if err := c.strike(t.Context(), strike{kind: k, pid: int(victim.PgConn().PID())}); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), cluster.URL("postgres"))
		if err != nil {
			t.Fatalf("after a %s: %v", k, err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
		_ = victim.Close(t.Context()) // its server is gone
	}
	if n := c.Counts(); n.BackendKills != 2 || n.PostmasterKills != 1 || n.ImmediateStops != 1 {
		t.Errorf("counted %+v, want 2, 1 and 1", n)
	}
}

func splitAddr(t *testing.T, addr string) (string, uint16) {
	t.Helper()
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Addr().String(), a.Port()
}
