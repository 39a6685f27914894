package audit_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/audit"
)

// TestConcurrentAppendersShareAnFsync holds the writer up in a hook until all
// others wait for it.
func TestConcurrentAppendersShareAnFsync(t *testing.T) {
	const appenders = 50
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		close(leave)
		trail := open(t, audit.Config{Dir: dir, CheckpointEvery: 60, Checkpointed: func(string) { <-leave }})
		leave = make(chan struct{})
		for range 59 {
			appendTo(t, trail, outcome("before"))
		}
		var wg sync.WaitGroup
		wg.Go(func() { appendTo(t, trail, outcome("held up")) }) // a checkpoint is due after it
		synctest.Wait()
		before := trail.Stats().Syncs
		for range appenders {
			wg.Go(func() { appendTo(t, trail, outcome("shared")) })
		}
		synctest.Wait()
		close(leave)
		wg.Wait()
		if n := trail.Stats().Syncs - before; n != 1 {
			t.Errorf("%d fsyncs for %d appenders that came together, want 1", n, appenders)
		}
		closeTrail(t, trail)
	})
	verify(t, dir)
}

func TestARecordIsSignedAfterAWhile(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		signed := make(chan time.Time, 10)
		trail := open(t, audit.Config{Dir: dir, CheckpointAfter: time.Hour, Checkpointed: func(string) { signed <- time.Now() }})
		<-signed // Open's
		begun := time.Now()
		appendTo(t, trail, outcome("a"))
		<-time.After(30 * time.Minute)
		appendTo(t, trail, outcome("b"))
		if at := (<-signed).Sub(begun); at != time.Hour {
			t.Errorf("signed after %v, want an hour", at)
		}
		synctest.Wait()
		if s := trail.Stats(); s.Unsigned != 0 {
			t.Errorf("%d records are unsigned", s.Unsigned)
		}
		<-time.After(10 * time.Hour)
		if len(signed) != 0 {
			t.Error("a checkpoint was signed with nothing new to sign")
		}
		closeTrail(t, trail)
	})
	verify(t, dir)
}
