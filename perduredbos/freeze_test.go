package perduredbos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pipeline"
)

// TestKillFreeze freezes the process of a run, lets another one take the run over, and
// thaws the first, in every other run while the second is still at work. The first must end by itself,
// and all runs with the digest of a run in peace.
func TestKillFreeze(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	data, err := slice()
	if err != nil {
		t.Fatal(err)
	}
	calm := pgclustertest.Database(t, server)
	target(t, calm)
	y := newTally()
	if err := begin(t, order{Dir: t.TempDir(), URL: calm, Run: "peace"}).wait(y); err != nil {
		t.Fatal(err)
	}
	want, tasks := audited(t, calm, data), len(y.ended)

	rng := rand.New(rand.NewPCG(*seed, 1))
	same, again, thawed := 0, 0, 0
	for i := range *freezes {
		url := pgclustertest.Database(t, server)
		target(t, url)
		release(t, url)
		o := order{Dir: t.TempDir(), URL: url, Run: fmt.Sprint("run-", i)}
		y := newTally()
		first := begin(t, o)
		if !freeze1(t, first, y, o.Dir, 1+rng.IntN(tasks*3/4)) {
			t.Errorf("run %d was over before it could be frozen", i)
			continue
		}
		e := open(t, order{Dir: o.Dir}.config(&pipeline.Definition{}))
		if _, err := e.Resume(t.Context(), o.Run, pipeline.DurableOptions{}); !errors.Is(err, pipeline.ErrRunning) {
			t.Errorf("run %d: Resume of a frozen run = %v, want ErrRunning", i, err)
		}
		o.TakeOver = true
		second := begin(t, o)
		frozen := true
		thaw := func() {
			frozen = false
			if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 && second.until(y, len(y.ended)+1+rng.IntN(max(1, tasks-len(y.ended)-1))) {
			thaw()
			thawed++
		}
		if err := second.wait(y); err != nil {
			t.Fatalf("run %d: the second process: %v", i, err)
		}
		if frozen {
			thaw()
		}
		if err := first.wait(y); err == nil || !strings.Contains(err.Error(), "taken over by another process") {
			t.Errorf("run %d: the first process ended with %v, want that it was taken over", i, err)
		}
		got := audited(t, url, data)
		if again += y.again(); got.Digest == want.Digest && got.Intact() {
			same++
		} else {
			t.Errorf("run %d: %+v", i, got)
		}
		if info := show(t, e, o.Run); info.Status != pipeline.StatusSucceeded || info.Try != 1 {
			t.Errorf("run %d is shown as %s, try %d", i, info.Status, info.Try)
		}
	}
	t.Logf("%d of %d runs ended with the digest of a run in peace, %d of them thawed at work; %d of %d tasks begun again", same, *freezes, thawed, again, *freezes*tasks)
}

// release lets the server end transactions of processes that are frozen, as databases
// that others depend on do: their locks would be held until the thaw.
func release(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("alter database %q set idle_in_transaction_session_timeout = '1s'", conn.Config().Database)); err != nil {
		t.Fatal(err)
	}
}

// freeze1 freezes the child when so many tasks have ended, but not while it writes: nobody else
// could then, until it is thawed or killed.
func freeze1(t *testing.T, c *child, y *tally, dir string, ended int) bool {
	t.Helper()
	for ; c.until(y, ended); ended = len(y.ended) + 1 {
		if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return false
		}
		var how syscall.WaitStatus // all its threads have stopped when this returns
		if _, err := syscall.Wait4(c.cmd.Process.Pid, &how, syscall.WUNTRACED, nil); err != nil || !how.Stopped() {
			return false
		}
		if !locked(t.Context(), t, dir) {
			return true
		}
		if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return false
		}
	}
	return false
}
