package perdureaudit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/perdureaudit"
	"github.com/perdure/perdure/redact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Manager whose events go to a trail.
type rig struct {
	dir      string
	trail    *audit.Trail
	recorder *perdureaudit.Recorder
	manager  *perdure.Manager
	stop     func() error
}

func newRig(t *testing.T, cfg perdureaudit.Config, policy perdure.Policy) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir()}
	var err error
	r.trail, err = audit.Open(audit.Config{Dir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	r.recorder, err = perdureaudit.New(r.trail, cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.manager, err = perdure.New(perdure.Config{Name: "warehouse", Policy: policy, Hooks: r.recorder.Hooks()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.recorder.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		err := r.manager.Close(context.WithoutCancel(ctx))
		cancel()
		return errors.Join(err, <-done, r.trail.Close())
	})
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// records returns what is in the trail of a kind.
func (r *rig) records(t *testing.T, kind audit.Kind) []audit.Entry {
	t.Helper()
	if _, err := audit.Verify(t.Context(), audit.VerifyConfig{Dir: r.dir}); err != nil {
		t.Fatal(err)
	}
	var list []audit.Entry
	for e, err := range audit.Tail(t.Context(), audit.TailConfig{Dir: r.dir, Last: -1, Kinds: []audit.Kind{kind}}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

var (
	load = perdure.Op{Name: "features.load", Idempotent: true}
	read = perdure.Op{Name: "features.read", ReadOnly: true}
)

func TestWhatHappensInAManagerIsRecorded(t *testing.T) {
	r := newRig(t, perdureaudit.Config{Manager: "warehouse"}, perdure.Policy{MaxAttempts: 2})
	ctx := perdure.WithCorrelationID(t.Context(), "request-7")
	broken := perdure.Transient(redact.Errorf("broken pipe: %w", errors.New("hunter2")))
	if err := r.manager.Do(ctx, load, func(context.Context) error { return broken }); err == nil {
		t.Fatal("Do = nil")
	}
	r.manager.Breaker("database").HoldOpen("upgrade to 18")
	for range 5 {
		if err := r.manager.Do(ctx, read, func(context.Context) error { return nil }); !errors.Is(err, perdure.ErrBreakerOpen) {
			t.Fatalf("Do = %v", err)
		}
	}
	r.manager.Breaker("database").Release()
	r.manager.CommitOutcome(ctx, perdure.OutcomeEvent{Op: "features.store", Key: "run-7", Resolution: perdure.Undecided, Method: "token", Evidence: "the server lost its history", Took: time.Second})
	r.manager.CommitOutcome(ctx, perdure.OutcomeEvent{Op: "features.store", Key: "run-8", Resolution: perdure.Run})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	gaveUp := r.records(t, audit.KindGiveUp)
	if len(gaveUp) != 2 {
		t.Fatalf("give-ups = %+v, want one that failed and one sum of those refused", gaveUp)
	}
	if e := gaveUp[0]; e.Subject != "features.load" || e.Action != "exhausted" || e.CorrelationID != "request-7" || e.Manager != "warehouse" ||
		e.Fields["attempts"] != json.Number("2") || !strings.Contains(e.Text, "broken pipe") || strings.Contains(e.Text, "hunter2") {
		t.Errorf("give-up = %+v", e)
	}
	if e := gaveUp[1]; e.Subject != "features.read" || e.Action != "refused" || e.Fields["calls"] != json.Number("5") {
		t.Errorf("refused calls = %+v, want one record of 5", e)
	}
	var holds []string
	for _, e := range r.records(t, audit.KindHold) {
		holds = append(holds, e.Subject+" "+e.Action+" "+e.Text)
	}
	if want := []string{"database hold-open upgrade to 18", "database release "}; !slices.Equal(holds, want) {
		t.Errorf("holds = %q, want %q", holds, want)
	}
	outcomes := r.records(t, audit.KindOutcome)
	if len(outcomes) != 1 || outcomes[0].Action != "unknown" || outcomes[0].Fields["key"] != "run-7" || outcomes[0].Fields["took_ms"] != json.Number("1000") {
		t.Errorf("outcomes = %+v, want the one that is unknown", outcomes)
	}
	if s := r.recorder.Stats(); s.Lost() != 0 || s.Queued != 0 || s.Recorded < 5 {
		t.Errorf("Stats = %+v", s)
	}
}

// TestAFullQueueHoldsUpOnlyWhatMatters runs no Recorder.Run, as if the disk hung.
func TestAFullQueueHoldsUpOnlyWhatMatters(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		trail, err := audit.Open(audit.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer trail.Close()
		r, err := perdureaudit.New(trail, perdureaudit.Config{Queue: 2})
		if err != nil {
			t.Fatal(err)
		}
		h := r.Hooks()
		waited := func(f func()) time.Duration {
			from := time.Now()
			f()
			return time.Since(from)
		}
		giveUp := func() {
			h.CallEnd(t.Context(), perdure.CallEvent{Op: "a", Attempts: 1, Reason: perdure.ReasonExhausted})
		}
		outcome := func(x perdure.Resolution) func() {
			return func() { h.CommitOutcome(t.Context(), perdure.OutcomeEvent{Op: "a", Resolution: x}) }
		}
		giveUp()
		giveUp()
		for name, c := range map[string]struct {
			event func()
			want  time.Duration
		}{
			"a give-up":               {giveUp, 0},
			"an unknown outcome":      {outcome(perdure.Undecided), 100 * time.Millisecond},
			"remembered work":         {outcome(perdure.Remembered), 0},
			"a change of the breaker": {func() { h.BreakerChange(perdure.BreakerEvent{Operation: "database"}) }, 100 * time.Millisecond},
		} {
			if got := waited(c.event); got != c.want {
				t.Errorf("%s waits for %v, want %v", name, got, c.want)
			}
		}
		if s := r.Stats(); s.Dropped != 4 || s.Queued != 2 {
			t.Errorf("Stats = %+v, want 4 dropped", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil { // the disk is back
			t.Fatal(err)
		}
		giveUp() // too late
		if s := r.Stats(); s.Dropped != 5 || s.Recorded != 3 {
			t.Errorf("Stats = %+v, want 5 dropped and 3 recorded", s)
		}
	})
	r := rig{dir: dir}
	dropped := r.records(t, audit.KindDropped)
	if len(dropped) != 1 || fmt.Sprint(dropped[0].Fields) != "map[breaker:1 give_up:1 outcome:2]" {
		t.Errorf("dropped = %+v, want one record with the kinds", dropped)
	}
}

func TestAFailedTrailIsToldOnceAndCounted(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, perdureaudit.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, perdure.Policy{})
	if err := r.trail.Close(); err != nil {
		t.Fatal(err)
	}
	h := r.recorder.Hooks()
	for range 6 {
		h.CommitOutcome(t.Context(), perdure.OutcomeEvent{Op: "a", Resolution: perdure.Aborted})
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if s := r.recorder.Stats(); s.Failed != 6 || s.Lost() != 6 || r.trail.Stats().Failures != 6 {
		t.Errorf("Stats = %+v, want 6 failed", s)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "the trail is closed") {
		t.Errorf("log = %q, want one line", log.String())
	}
}

func TestARecordThatCannotBeStoredTakesNoOtherWithIt(t *testing.T) {
	r := newRig(t, perdureaudit.Config{}, perdure.Policy{})
	h := r.recorder.Hooks()
	h.CommitOutcome(t.Context(), perdure.OutcomeEvent{Op: "a", Resolution: perdure.Aborted})
	h.CommitOutcome(t.Context(), perdure.OutcomeEvent{Op: "b", Resolution: perdure.Aborted, Key: strings.Repeat("k", 1<<20)})
	h.CommitOutcome(t.Context(), perdure.OutcomeEvent{Op: "c", Resolution: perdure.Aborted})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if got := r.records(t, audit.KindOutcome); len(got) != 2 {
		t.Errorf("outcomes = %+v, want a and c", got)
	}
	if s := r.recorder.Stats(); s.Dropped != 1 || s.Failed != 0 {
		t.Errorf("Stats = %+v, want 1 dropped", s)
	}
	if got := r.records(t, audit.KindDropped); len(got) != 1 {
		t.Errorf("dropped = %+v, want one record", got)
	}
}
