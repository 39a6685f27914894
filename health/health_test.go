package health_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/perdure/perdure/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("secret reason")

func newHealth(tb testing.TB, cfg health.Config) *health.Health {
	tb.Helper()
	h, err := health.New(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Errorf("Close() = %v", err)
		}
	})
	return h
}

// switched is a check whose answer can be changed, and that counts its runs.
type switched struct {
	mu   sync.Mutex // guards err
	err  error
	runs atomic.Int64
}

func (s *switched) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *switched) run(context.Context) error {
	s.runs.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// brief is what a test compares of a result.
type brief struct {
	Name, Status, Because string
}

func briefs(results []health.Result) []brief {
	var out []brief
	for _, r := range results {
		out = append(out, brief{r.Name, r.Status.String(), r.Because})
	}
	return out
}

func TestNewNamesEveryFault(t *testing.T) {
	run := func(context.Context) error { return nil }
	_, err := health.New(t.Context(), health.Config{Wait: -1, Checks: []health.Check{
		{Name: "A b", Run: run},
		{Name: "x", Timeout: -1, Fall: -1, Rise: -1},
		{Name: "x", Run: run, After: []string{"nosuch"}},
		{Name: "draining", Run: run},
		{Name: "p", Run: run, After: []string{"q"}},
		{Name: "q", Run: run, After: []string{"p"}},
	}})
	if err == nil {
		t.Fatal("New() = nil, want faults")
	}
	for _, want := range []string{
		"wait: -1ns is negative", `checks[0].name: "A b" is not`, "checks[1].run: is nil", "timeout: -1ns", "fall: -1", "rise: -1",
		`checks[2].name: "x" is there twice`, `checks[2].after: there is no check "nosuch"`, `"draining" is reserved`, "checks: p → q → p depend on each other",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New() = %v, want %q in it", err, want)
		}
	}
}

func TestResultsAreKeptForTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s switched
		h := newHealth(t, health.Config{Checks: []health.Check{{Name: "a", Run: s.run, Interval: time.Minute}}})
		for range 100 {
			h.Check(t.Context())
		}
		if n := s.runs.Load(); n != 1 {
			t.Errorf("%d runs in one interval, want 1", n)
		}
		after(59 * time.Second)
		_, results := h.Check(t.Context())
		if n := s.runs.Load(); n != 1 || results[0].Age() != 59*time.Second {
			t.Errorf("after 59s: %d runs, age %v, want 1 and 59s", n, results[0].Age())
		}
		after(time.Second)
		h.Check(t.Context())
		if n := s.runs.Load(); n != 2 {
			t.Errorf("after the interval: %d runs, want 2", n)
		}
	})
}

// after lets the bubble's time pass.
func after(d time.Duration) { <-time.After(d) }

func TestACheckRunsOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs, most, now atomic.Int64
		h := newHealth(t, health.Config{Checks: []health.Check{{Name: "slow", Interval: -1, Run: func(context.Context) error {
			runs.Add(1)
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			after(500 * time.Millisecond)
			return nil
		}}}})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if status, _ := h.Check(t.Context()); status != health.Pass {
					t.Errorf("Check() = %v, want pass", status)
				}
			})
		}
		all.Wait()
		if runs.Load() != 1 || most.Load() != 1 {
			t.Errorf("%d runs, %d at a time, want 1 and 1", runs.Load(), most.Load())
		}
	})
}

func TestACheckThatHangsFailsInTimeAndNeverStacksUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		release := make(chan struct{})
		h := newHealth(t, health.Config{Checks: []health.Check{{
			Name: "hangs", Timeout: time.Second, Interval: 2 * time.Second, Fall: 2,
			Run: func(context.Context) error { // deaf to its context
				if runs.Add(1) == 2 {
					<-release
				}
				return nil
			},
		}}})
		ask := func(want health.Status, took time.Duration) {
			t.Helper()
			began := time.Now()
			if status, _ := h.Check(t.Context()); status != want || time.Since(began) != took {
				t.Errorf("Check() = %v in %v, want %v in %v", status, time.Since(began), want, took)
			}
		}
		ask(health.Pass, 0)
		after(2 * time.Second)
		ask(health.Pass, time.Second) // timed out: the first bad result is damped
		for range 5 {
			ask(health.Pass, 0)
		}
		after(2 * time.Second)
		ask(health.Fail, 0) // it hangs on: the second
		after(time.Hour)
		ask(health.Fail, 0)
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs while one hangs, want 2", n)
		}
		close(release)
		synctest.Wait()
		after(2 * time.Second)
		ask(health.Pass, 0)
	})
}

func TestARequestWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t, health.Config{Wait: time.Second, Checks: []health.Check{{Name: "slow", Timeout: time.Minute, Run: func(ctx context.Context) error {
			select {
			case <-time.After(10 * time.Second):
			case <-ctx.Done():
			}
			return nil
		}}}})
		began := time.Now()
		status, results := h.Check(t.Context())
		if status != health.Fail || time.Since(began) != time.Second {
			t.Errorf("Check() = %v after %v, want fail after 1s: nothing is known yet", status, time.Since(began))
		}
		if diff := cmp.Diff([]brief{{"slow", "fail", ""}}, briefs(results)); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
		after(10 * time.Second)
		if status, _ := h.Check(t.Context()); status != health.Pass {
			t.Errorf("Check() = %v once it has answered, want pass", status)
		}
	})
}

func TestDampingStopsFlapping(t *testing.T) {
	warn := health.Warn(errDown)
	p, f, w := error(nil), errDown, warn
	for _, tt := range []struct {
		name       string
		fall, rise int
		results    []error
		want       string // one letter for each result
	}{
		{"the first result counts at once", 3, 1, []error{f, p}, "fp"},
		{"two bad results of three change nothing", 3, 1, []error{p, f, f, p, f, f, p}, "ppppppp"},
		{"three in a row do", 3, 1, []error{p, f, f, f, f}, "pppff"},
		{"and a good one ends it", 3, 1, []error{p, f, f, f, p}, "pppfp"},
		{"getting better can be damped too", 1, 2, []error{f, p, f, p, p}, "ffffp"},
		{"warnings and failures add up, the last one names it", 3, 1, []error{p, w, f, w}, "pppw"},
		{"from warn to fail is worse", 2, 1, []error{w, f, f}, "wwf"},
		{"from fail to warn is better", 2, 1, []error{f, w}, "fw"},
		{"no damping", 1, 1, []error{p, f, p, f}, "pfpf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s switched
				h := newHealth(t, health.Config{Checks: []health.Check{{Name: "a", Run: s.run, Interval: -1, Fall: tt.fall, Rise: tt.rise}}})
				var got strings.Builder
				for _, err := range tt.results {
					s.set(err)
					_, results := h.Check(t.Context())
					got.WriteByte(results[0].Status.String()[0])
				}
				if got.String() != tt.want {
					t.Errorf("statuses %q, want %q", got.String(), tt.want)
				}
			})
		})
	}
}

// TestDampingAgainstAModel: a status changes exactly when the last Fall (Rise)
// results are all worse (better) than it.
func TestDampingAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fall, rise := rapid.IntRange(1, 4).Draw(rt, "fall"), rapid.IntRange(1, 4).Draw(rt, "rise")
		var s switched
		h, err := health.New(t.Context(), health.Config{Checks: []health.Check{{Name: "a", Run: s.run, Interval: -1, Fall: fall, Rise: rise}}})
		if err != nil {
			rt.Fatal(err)
		}
		defer h.Close(t.Context())
		status, since := health.Pass, 0
		var seen []health.Status
		for i, bad := range rapid.SliceOfN(rapid.Bool(), 1, 40).Draw(rt, "bad") {
			now := health.Pass
			s.set(nil)
			if bad {
				now = health.Fail
				s.set(errDown)
			}
			seen = append(seen, now)
			need := rise
			if bad {
				need = fall
			}
			row := 0
			for j := len(seen) - 1; j >= since && seen[j] == now; j-- {
				row++
			}
			if i == 0 || now != status && row >= need {
				status, since = now, len(seen)
			}
			if got, _ := h.Check(t.Context()); got != status {
				rt.Fatalf("after %v: %v, want %v", seen, got, status)
			}
		}
	})
}

func TestDependenciesSuppressWhatFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network, database, migrations, disk switched
		h := newHealth(t, health.Config{Checks: []health.Check{
			{Name: "migrations", Run: migrations.run, Interval: -1, After: []string{"database"}},
			{Name: "database", Run: database.run, Interval: -1, After: []string{"network"}},
			{Name: "network", Run: network.run, Interval: -1, Fall: 2},
			{Name: "disk", Run: disk.run, Interval: -1, Optional: true},
		}})
		ask := func(want health.Status, results ...brief) {
			t.Helper()
			status, got := h.Check(t.Context())
			if diff := cmp.Diff(results, briefs(got)); diff != "" || status != want {
				t.Errorf("Check() = %v, want %v (-want +got):\n%s", status, want, diff)
			}
		}
		good := []brief{{"network", "pass", ""}, {"database", "pass", ""}, {"migrations", "pass", ""}, {"disk", "pass", ""}}
		ask(health.Pass, good...)
		network.set(errDown)
		database.set(errDown)
		migrations.set(errDown)
		ask(health.Pass, good...) // damped, and what depends on it is not asked
		ask(health.Fail, brief{"network", "fail", ""}, brief{"database", "unknown", "network"}, brief{"migrations", "unknown", "network"}, brief{"disk", "pass", ""})
		if n := database.runs.Load() + migrations.runs.Load(); n != 2 {
			t.Errorf("%d runs of checks that mean nothing, want only the first two", n)
		}
		network.set(nil)
		database.set(nil)
		migrations.set(nil)
		disk.set(errDown)
		ask(health.Pass, good...)
		ask(health.Pass, good...)
		ask(health.Warned, append(good[:3:3], brief{"disk", "fail", ""})...) // optional
	})
}

func TestABreakerThatIsOpenWarnsAndSuppresses(t *testing.T) {
	var state atomic.Pointer[health.BreakerState]
	var migrations switched
	breaker := health.Breaker("database", func() health.BreakerState { return *state.Load() })
	checks := func(b health.Check) []health.Check {
		return []health.Check{b, {Name: "migrations", Run: migrations.run, Interval: -1, After: []string{"database"}}}
	}
	h := newHealth(t, health.Config{Checks: checks(breaker)})
	strict := newHealth(t, health.Config{Checks: checks(health.Failing(breaker))})
	for _, tt := range []struct {
		state           health.BreakerState
		want, strictly  health.Status
		after, failAway string
	}{
		{health.BreakerState{State: "closed"}, health.Pass, health.Pass, "pass", "pass"},
		{health.BreakerState{State: "open"}, health.Warned, health.Fail, "unknown", "unknown"},
		{health.BreakerState{State: "half_open"}, health.Warned, health.Fail, "pass", "unknown"},
		{health.BreakerState{State: "open", Held: true}, health.Warned, health.Fail, "unknown", "unknown"},
		{health.BreakerState{State: "closed", Held: true}, health.Warned, health.Fail, "pass", "unknown"},
		{health.BreakerState{State: "?"}, health.Warned, health.Fail, "unknown", "unknown"},
		{health.BreakerState{State: "closed"}, health.Pass, health.Pass, "pass", "pass"},
	} {
		state.Store(&tt.state)
		status, results := h.Check(t.Context())
		if status != tt.want || results[1].Status.String() != tt.after {
			t.Errorf("%+v: %v, migrations %v, want %v and %v", tt.state, status, results[1].Status, tt.want, tt.after)
		}
		status, results = strict.Check(t.Context())
		if status != tt.strictly || results[1].Status.String() != tt.failAway {
			t.Errorf("failing, %+v: %v, migrations %v, want %v and %v", tt.state, status, results[1].Status, tt.strictly, tt.failAway)
		}
	}
}

func TestAPanicIsAFailure(t *testing.T) {
	h := newHealth(t, health.Config{Checks: []health.Check{{Name: "a", Run: func(context.Context) error { panic(errDown) }}}})
	status, results := h.Check(t.Context())
	if status != health.Fail || !errors.Is(results[0].Err, errDown) {
		t.Errorf("Check() = %v, %v, want fail with what it panicked with", status, results[0].Err)
	}
}

func TestCloseEndsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		h, err := health.New(t.Context(), health.Config{Checks: []health.Check{{Name: "a", Timeout: time.Hour, Interval: -1, Run: func(ctx context.Context) error {
			runs.Add(1)
			<-ctx.Done()
			return context.Cause(ctx)
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			h.Check(t.Context())
			close(done)
		}()
		synctest.Wait()
		if err := h.Close(t.Context()); err != nil {
			t.Errorf("Close() = %v", err)
		}
		<-done
		h.Check(t.Context())
		if n := runs.Load(); n != 1 {
			t.Errorf("%d runs, want none after Close", n-1)
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h, err := health.New(t.Context(), health.Config{Checks: []health.Check{{Name: "deaf", Run: func(context.Context) error { <-release; return nil }}}})
		if err != nil {
			t.Fatal(err)
		}
		h.Check(t.Context())
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errDown)
		defer cancel()
		if err := h.Close(ctx); !errors.Is(err, errDown) {
			t.Errorf("Close() = %v, want the cause of its context", err)
		}
		close(release)
	})
}
