package adapter_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perdure/perdure/internal/adapter"
)

// use lets op use a connection for a while, after a wait, under a timeout; it
// reports whether it was let.
func use(p *adapter.Paces, op string, timeout, wait, takes time.Duration) bool {
	asked := time.Now()
	deadline := asked.Add(timeout)
	<-time.After(wait)
	turn, ok := p.Begin(op, asked, deadline)
	if !ok {
		return false
	}
	left := time.Until(deadline)
	<-time.After(min(takes, left))
	turn.End(takes > left)
	return true
}

func TestWhoHasWaitedForTooLongLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p adapter.Paces
		const timeout, usual = time.Second, 100 * time.Millisecond
		if !use(&p, "op", timeout, timeout-time.Millisecond, time.Microsecond) {
			t.Error("of an operation that nobody knows nothing can be said")
		}
		for range 100 {
			use(&p, "op", timeout, 0, usual)
		}
		if use(&p, "op", timeout, timeout-usual/2, usual) {
			t.Error("an attempt that could not end in time was let")
		}
		if !use(&p, "op", timeout, timeout-2*usual, usual) {
			t.Error("an attempt that had time enough was not let")
		}
		if !use(&p, "op", usual/2, 0, usual) || !use(&p, "op", usual/2, usual/4, usual) {
			t.Error("an attempt that never had the time has to find out by itself")
		}
		if !use(&p, "another", timeout, timeout-time.Millisecond, usual) {
			t.Error("an operation pays for another one")
		}
	})
}

// An operation that gets slower raises its mean by what was cut short, and one
// that gets faster lowers it: nobody is kept out for good.
func TestThePaceIsLearnedBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p adapter.Paces
		const timeout, slow, fast = time.Second, 400 * time.Millisecond, 10 * time.Millisecond
		for range 50 {
			use(&p, "op", timeout, 0, fast)
		}
		for range 50 {
			use(&p, "op", timeout, timeout-slow/2, slow) // cut short, as long as it is let
		}
		if use(&p, "op", timeout, timeout-slow/3, slow) {
			t.Error("what was cut short has taught nothing")
		}
		for range 50 {
			use(&p, "op", timeout, 0, fast)
		}
		if !use(&p, "op", timeout, timeout-4*fast, fast) {
			t.Error("a fast operation is still taken for a slow one")
		}
	})
}

func TestPacesAreBounded(t *testing.T) {
	var p adapter.Paces
	at := time.Now()
	for i := range 10_000 {
		turn, ok := p.Begin(fmt.Sprint("op", i), at, at.Add(time.Hour))
		if !ok {
			t.Fatal("an attempt with an hour left was not let")
		}
		turn.End(false)
	}
	if n := p.Len(); n > 5000 {
		t.Errorf("%d operations are remembered", n)
	}
}
