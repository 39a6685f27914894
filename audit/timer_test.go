package audit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/audit"
)

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
