package perdurelog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/perdurelog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "SECRET-of-a-row"

// sqlError is an error of a server, with a text that must never be written.
type sqlError string

func (e sqlError) Error() string    { return "server says " + secret + " " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

var errOwn = errors.New("own error with " + secret)

// rig is a Manager whose lines are kept.
type rig struct {
	*testing.T
	m *perdure.Manager

	mu  sync.Mutex
	out bytes.Buffer
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func bubble(t *testing.T, cfg perdurelog.Config, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t}
		logger := slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
		var err error
		if r.m, err = perdure.New(perdure.Config{Hooks: perdurelog.Hooks(logger, cfg)}); err != nil {
			t.Fatal(err)
		}
		f(r)
		if err := r.m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// lines returns what was written since the last time, once nobody writes.
func (r *rig) lines() []map[string]any {
	r.Helper()
	synctest.Wait() // somebody may be about to write
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []map[string]any
	for decoder := json.NewDecoder(&r.out); ; {
		var one map[string]any
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			r.out.Reset()
			return out
		} else if err != nil {
			r.Fatal(err)
		}
		delete(one, "time")
		out = append(out, one)
	}
}

// say returns lines as text: level, message, and the attributes of the keys
// that they have.
func say(lines []map[string]any, keys ...string) []string {
	var out []string
	for _, one := range lines {
		var text strings.Builder
		fmt.Fprint(&text, one["level"], " ", one["msg"])
		for _, key := range keys {
			if v, ok := one[key]; ok {
				fmt.Fprint(&text, " ", key, "=", v)
			}
		}
		out = append(out, text.String())
	}
	return out
}

func failing(n int, err error) func(context.Context) error {
	return func(context.Context) error {
		n--
		if n >= 0 {
			return err
		}
		return nil
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func fixed(attempts int) *perdure.Policy {
	wait := backoff.Config{Func: func(int) time.Duration { return 2 * time.Second }, Jitter: backoff.NoJitter}
	return &perdure.Policy{MaxAttempts: attempts, Backoff: wait, Contention: wait}
}

func TestWhatIsWrittenAndAtWhichLevel(t *testing.T) {
	const parks = "a call that parks"
	op := perdure.Op{Name: "op", Idempotent: true, Policy: fixed(2)}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s: %w", secret, syscall.ECONNREFUSED)}
	for _, tt := range []struct {
		name string
		do   func(r *rig)
		want []string
	}{
		{"nothing of a call that succeeds", func(r *rig) { _ = r.m.Do(r.Context(), op, failing(0, nil)) }, nil},
		{"a call that recovers", func(r *rig) { _ = r.m.Do(r.Context(), op, failing(1, sqlError("40001"))) }, []string{
			"WARN attempt failed operation=op attempt=1 sqlstate=40001 condition=serialization_failure category=transient severity=medium",
			"DEBUG attempt repeated operation=op attempt=2 delay=2e+09",
			"INFO call recovered operation=op attempts=2",
		}},
		{"a call that gives up", func(r *rig) { _ = r.m.Do(r.Context(), op, failing(9, refused)) }, []string{
			"WARN attempt failed operation=op attempt=1 category=connection severity=high error=connection refused",
			"DEBUG attempt repeated operation=op attempt=2 delay=2e+09",
			"WARN attempt failed operation=op attempt=2 category=connection severity=high error=connection refused",
			"ERROR call gave up operation=op attempts=2 reason=exhausted category=connection severity=high error=connection refused",
		}},
		{"an error of the caller's own", func(r *rig) { _ = r.m.Do(r.Context(), op, failing(9, sqlError("23505"))) }, []string{
			"DEBUG attempt failed operation=op attempt=1 sqlstate=23505 condition=unique_violation category=constraint severity=low",
			"DEBUG call failed operation=op attempts=1 sqlstate=23505 condition=unique_violation category=constraint severity=low",
		}},
		{"an operation that must not be repeated", func(r *rig) {
			_ = r.m.Do(r.Context(), perdure.Op{Name: "once"}, failing(9, sqlError("40001")))
		}, []string{
			"WARN attempt failed operation=once attempt=1 sqlstate=40001 condition=serialization_failure category=transient severity=medium",
			"ERROR call gave up operation=once attempts=1 reason=not_idempotent sqlstate=40001 condition=serialization_failure category=transient severity=medium " +
				"hint=set Op.Idempotent or Op.ReadOnly if doing it twice is harmless, or run it with InTx or Once",
		}},
		{"a caller that leaves", func(r *rig) {
			ctx, cancel := context.WithCancel(r.Context())
			time.AfterFunc(time.Second, cancel)
			_ = r.m.Do(ctx, op, failing(9, sqlError("40001")))
		}, []string{
			"WARN attempt failed operation=op attempt=1 sqlstate=40001 condition=serialization_failure category=transient severity=medium",
			"INFO call canceled operation=op attempts=1 reason=canceled sqlstate=40001 condition=serialization_failure category=transient severity=medium",
		}},
		{"a panic", func(r *rig) {
			defer func() { _ = recover() }()
			_ = r.m.Do(r.Context(), op, func(context.Context) error { panic(secret) })
		}, []string{
			"WARN attempt failed operation=op attempt=1 category=unknown severity=critical error=the work panicked",
			"ERROR call gave up operation=op attempts=1 reason=panicked category=unknown severity=critical error=the work panicked",
		}},
		{"a breaker that a person holds", func(r *rig) {
			b := r.m.Breaker("database")
			b.HoldOpen("upgrade")
			_ = r.m.Do(r.Context(), op, failing(0, nil))
			b.HoldClosed("done")
			b.Release()
		}, []string{
			"WARN circuit breaker opened operation=database from=closed to=open why=upgrade held=open",
			"WARN call refused operation=op attempts=0 reason=breaker_open category=unknown severity=low error=circuit breaker open " +
				"hint=the breaker of database is held open: release it",
			"INFO circuit breaker changed operation=database from=open to=closed why=done held=closed",
			"INFO circuit breaker changed operation=database from=closed to=closed why=released",
		}},
		{parks, func(r *rig) {
			b := r.m.Breaker("database")
			b.HoldOpen("upgrade")
			time.AfterFunc(time.Minute, func() { b.HoldClosed("done") })
			_ = r.m.Do(r.Context(), perdure.Op{Name: "park", Policy: &perdure.Policy{Park: time.Hour}}, failing(0, nil))
		}, []string{
			"WARN circuit breaker opened operation=database from=closed to=open why=upgrade held=open",
			"INFO call parked operation=park for=database",
			"INFO call released operation=park for=database parked=6e+10",
			"INFO circuit breaker changed operation=database from=open to=closed why=done held=closed",
		}},
		{"outcomes of commits", func(r *rig) {
			for _, res := range []perdure.Resolution{perdure.Committed, perdure.Undecided, perdure.Run} {
				r.m.CommitOutcome(r.Context(), perdure.OutcomeEvent{Op: "op", Key: "run-7", Resolution: res, Method: "marker"})
			}
		}, []string{
			"INFO commit resolved operation=op resolution=committed method=marker key=run-7",
			"ERROR commit outcome unknown operation=op resolution=unknown method=marker key=run-7",
			"DEBUG once operation=op resolution=run method=marker key=run-7",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, perdurelog.Config{}, func(r *rig) {
				tt.do(r)
				written := r.lines()
				got := say(written, "operation", "attempt", "attempts", "delay", "for", "parked", "from", "to", "why", "held",
					"resolution", "method", "key", "reason", "sqlstate", "condition", "category", "severity", "error", "hint")
				for i := range got { // most calls parked for no time
					got[i] = strings.Replace(got[i], " parked=0", "", 1)
				}
				if tt.name == parks && len(got) > 2 { // the call and who releases it write at the same time
					slices.Sort(got[2:])
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if strings.Contains(fmt.Sprint(written), secret) {
					t.Error("the text of an error is written")
				}
			})
		})
	}
}

func TestEveryLineOfACallHasItsIDs(t *testing.T) {
	cfg := perdurelog.Config{Manager: "warehouse", Trace: func(context.Context) (string, string) { return "trace-1", "span-1" }}
	bubble(t, cfg, func(r *rig) {
		ctx := perdure.WithCorrelationID(r.Context(), "request-7")
		_ = r.m.Do(ctx, perdure.Op{Name: "op", Idempotent: true, Policy: fixed(2)}, func(ctx context.Context) error {
			r.m.CommitOutcome(ctx, perdure.OutcomeEvent{Op: "op", Resolution: perdure.Aborted})
			return errors.Join(perdure.Transient(errOwn))
		})
		all := r.lines()
		if len(all) != 6 {
			r.Fatalf("%d lines, want 6: %v", len(all), all)
		}
		for _, text := range say(all, "manager", "correlation_id", "trace_id", "span_id") {
			if !strings.HasSuffix(text, " manager=warehouse correlation_id=request-7 trace_id=trace-1 span_id=span-1") {
				r.Error(text)
			}
		}
	})
}

func TestAStormDoesNotFloodTheLog(t *testing.T) {
	bubble(t, perdurelog.Config{}, func(r *rig) {
		r.m.Breaker("database").HoldOpen("test")
		op := perdure.Op{Name: "op"}
		for range 6000 { // a minute of a hundred a second
			_ = r.m.Do(r.Context(), op, failing(0, nil))
			pause(r.Context(), 10*time.Millisecond)
		}
		written, suppressed := 0, 0.0
		for _, one := range r.lines() {
			if one["msg"] != "call refused" {
				continue
			}
			written++
			if n, ok := one["suppressed"].(float64); ok {
				suppressed += n
			}
		}
		if written != 10+59 {
			r.Errorf("%d lines, want a burst of 10 and one for each of 59 seconds", written)
		}
		if all := float64(written) + suppressed; all < 5900 || all > 6000 {
			r.Errorf("%v lines are accounted for, want 6000 less those since the last line", all)
		}
	})
}

func TestWhatIsNeverLimited(t *testing.T) {
	bubble(t, perdurelog.Config{Burst: 1}, func(r *rig) {
		for range 50 {
			r.m.CommitOutcome(r.Context(), perdure.OutcomeEvent{Op: "op", Resolution: perdure.Undecided})
			r.m.Breaker("database").HoldOpen("test")
			r.m.Breaker("database").HoldClosed("test")
		}
		if n := len(r.lines()); n != 150 {
			r.Errorf("%d lines, want 150", n)
		}
	})
}

func TestANegativeBurstIsNoLimit(t *testing.T) {
	bubble(t, perdurelog.Config{Burst: -1}, func(r *rig) {
		for range 500 {
			_ = r.m.Do(r.Context(), perdure.Op{Name: "op"}, failing(1, sqlError("23505")))
		}
		if n := len(r.lines()); n != 1000 {
			r.Errorf("%d lines, want 1000", n)
		}
	})
}

// Names beyond Config.MaxOperations are on the events as they came.
func TestManyNamesShareALimit(t *testing.T) {
	bubble(t, perdurelog.Config{}, func(r *rig) {
		for i := range 3000 {
			_ = r.m.Do(r.Context(), perdure.Op{Name: "op-" + strconv.Itoa(i)}, failing(1, sqlError("40P01")))
		}
		if n := len(r.lines()); n > 1100 {
			r.Errorf("%d lines, want 1,024 kinds and a burst", n)
		}
		pause(r.Context(), time.Minute)
		_ = r.m.Do(r.Context(), perdure.Op{Name: "late"}, failing(1, sqlError("40P01")))
		if got := say(r.lines(), "operation"); len(got) == 0 {
			r.Error("a new kind is not written after those that were quiet made room")
		}
	})
}

func TestManyCallsAtOnce(t *testing.T) {
	bubble(t, perdurelog.Config{Burst: 5}, func(r *rig) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 100 {
					_ = r.m.Do(r.Context(), perdure.Op{Name: "op-" + strconv.Itoa(i%3)}, failing(1, sqlError("23505")))
				}
			})
		}
		wg.Wait()
		if n := len(r.lines()); n != 3*2*5 {
			r.Errorf("%d lines, want 30", n)
		}
	})
}

func TestANilLoggerSetsNoHooks(t *testing.T) {
	if h := perdurelog.Hooks(nil, perdurelog.Config{}); h.CallEnd != nil || h.AttemptEnd != nil {
		t.Error("hooks are set that write nothing")
	}
}
