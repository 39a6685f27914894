package perdurepgx_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// The bars of this file are of real time, as they were set: they say how long
// users wait. They leave room for a busy machine, except where the bar itself
// is the figure.

var stormOp = perdure.Op{Name: "storm.read", ReadOnly: true}

// own starts a server for one test, which may do with it what it likes.
func own(tb testing.TB, mcfg perdure.Config, change func(*pgxpool.Config)) (*bench, *pgcluster.Cluster) {
	tb.Helper()
	c := pgclustertest.New(tb, pgcluster.Config{Settings: map[string]string{"fsync": "off", "max_connections": "40"}})
	return openAt(tb, c.URL("postgres"), "", mcfg, perdurepgx.Config{}, change), c
}

// TestStormLive holds the budget to its bar on a real server on which every
// statement fails: repeats a second ≤ max(floor, 0.1 × calls a second).
func TestStormLive(t *testing.T) {
	const callers, floor, run = 50, 5, 6 * time.Second
	off := breaker.Config{Rule: breaker.Off}
	var mu sync.Mutex
	var calls, repeats []time.Time
	note := func(to *[]time.Time) {
		mu.Lock()
		defer mu.Unlock()
		*to = append(*to, time.Now())
	}
	b, _ := own(t, perdure.Config{
		Policy: perdure.Policy{Breaker: off}, Database: off,
		Hooks: perdure.Hooks{
			AttemptEnd: func(_ context.Context, e perdure.AttemptEvent) {
				if e.Attempt == 1 {
					note(&calls)
				}
			},
			Repeat: func(ctx context.Context, _ perdure.RepeatEvent) context.Context {
				note(&repeats) // now it is paid for; when it ends is the server's business
				return ctx
			},
		},
	}, func(c *pgxpool.Config) { c.MaxConns = 20 })
	ctx, cancel := context.WithTimeout(t.Context(), run)
	defer cancel()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				// The backend ends itself: the connection is lost in flight, every time.
				_, err := b.Exec(perdure.WithOp(ctx, stormOp), "select pg_terminate_backend(pg_backend_pid())")
				if err == nil {
					t.Error("the statement did not fail")
				}
			}
		})
	}
	wg.Wait()
	begun := calls[0]
	for from := begun; time.Since(from) > time.Second && from.Before(begun.Add(run-time.Second)); from = from.Add(100 * time.Millisecond) {
		within := func(all []time.Time) (n float64) {
			for _, at := range all {
				if !at.Before(from) && at.Before(from.Add(time.Second)) {
					n++
				}
			}
			return n
		}
		if c, r := within(calls), within(repeats); r > max(floor, 0.1*c)+1 { // one may be paid for in its second and told of in the next
			t.Errorf("%s: %v repeats in a second with %v calls", from.Sub(begun), r, c)
		}
	}
	t.Logf("%d calls and %d repeats in %s", len(calls), len(repeats), run)
}

// TestParkedCallersAreReleasedByTheRamp: 200 callers wait for a server that is
// away. When it is back all are done within 3 s, the first within 1 s, and the
// server never sees more of them than the ramp lets in.
func TestParkedCallersAreReleasedByTheRamp(t *testing.T) {
	const callers = 200
	op := perdure.Op{Name: "storm.parked", ReadOnly: true, Policy: &perdure.Policy{Park: 2 * time.Minute}}
	b, c := own(t, perdure.Config{}, func(c *pgxpool.Config) { c.MaxConns = 20 })
	if err := c.Stop(t.Context(), pgcluster.Immediate); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var done []time.Time
	for range callers {
		wg.Go(func() {
			if _, err := b.Exec(perdure.WithOp(t.Context(), op), "select 1"); err != nil {
				t.Errorf("Exec() = %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, time.Now())
		})
	}
	eventually(t, 20*time.Second, "all callers are parked", func() bool { return b.m.Snapshot().Parked == callers })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	wg.Wait()
	slices.SortFunc(done, time.Time.Compare)
	first, last := done[0].Sub(back), done[callers-1].Sub(back)
	if first > time.Second || last > 3*time.Second {
		t.Errorf("the first was done after %s, the last after %s; want 1s and 3s", first, last)
	}
	t.Logf("the first of %d was done %s after the server was back, the last after %s", callers, first, last)
}

// TestAFrozenServerIsNoticed: a server that stops answering, with all its
// connections open, opens the breaker within 1.6 s of the first statement that
// it does not answer.
func TestAFrozenServerIsNoticed(t *testing.T) {
	var opened atomic.Int64
	b, c := own(t, perdure.Config{Hooks: perdure.Hooks{BreakerChange: func(e perdure.BreakerEvent) {
		if e.Operation == "database" && e.Change.To == breaker.Open {
			opened.CompareAndSwap(0, time.Now().UnixNano())
		}
	}}}, nil)
	if _, err := b.Exec(t.Context(), "select 1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Thaw(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	begun := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = b.Exec(ctx, "select 1") })
	eventually(t, 5*time.Second, "the breaker opens", func() bool { return opened.Load() != 0 })
	took := time.Unix(0, opened.Load()).Sub(begun)
	if took > 1600*time.Millisecond {
		t.Errorf("the frozen server was noticed after %s, want 1.6s", took)
	}
	t.Logf("the frozen server was noticed after %s", took)
	cancel()
	wg.Wait()
}

// eventually polls until what is true.
func eventually(tb testing.TB, limit time.Duration, what string, ok func() bool) {
	tb.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("not within %s: %s", limit, what)
		}
	}
}
