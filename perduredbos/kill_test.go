package perduredbos_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pipeline"
)

var (
	kills   = flag.Int("kills", mostKills, "how many runs TestKill kills")
	freezes = flag.Int("freezes", mostFreezes, "how many runs TestKillFreeze freezes")
	seed    = flag.Uint64("seed", 1, "of the moments at which they do")
)

// TestKill runs the flights pipeline, kills its process at up to three random moments and
// the database at another, and goes on each time in a new process. All runs must end with the digest of
// a run in peace.
func TestKill(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	data, err := slice()
	if err != nil {
		t.Fatal(err)
	}
	calm := pgclustertest.Database(t, server)
	target(t, calm)
	began, y := time.Now(), newTally()
	dir := t.TempDir()
	if err := begin(t, order{Dir: dir, URL: calm, Run: "peace"}).wait(y); err != nil {
		t.Fatal(err)
	}
	want, tasks := audited(t, calm, data), len(y.ended)
	total := count(stored(t, sqlite(t, dir), "peace"))
	if !want.Intact() || y.again() != 0 || total != tasks {
		t.Fatalf("in peace: %+v, %d tasks, %d begun again, %d records", want, tasks, y.again(), total)
	}
	t.Logf("a run in peace: %v, %d tasks, digest %.12s", time.Since(began).Round(time.Millisecond), tasks, want.Digest)

	rng := rand.New(rand.NewPCG(*seed, 0))
	spread := make([]int, 10)
	var same, procs, servers, again, most, doubled, lost int
	for i := range *kills {
		url := pgclustertest.Database(t, server)
		target(t, url)
		o := order{Dir: t.TempDir(), URL: url, Run: fmt.Sprint("run-", i)}
		y := newTally()
		moments := moments(rng, tasks, 1+i%3, i%2)
		c := begin(t, o)
		for _, m := range moments {
			if !c.until(y, m.ended) {
				break // it was through before
			}
			select {
			case <-time.After(m.later):
			case <-t.Context().Done():
			}
			if m.server {
				servers++
				if err := server.Kill(); err != nil {
					t.Fatal(err)
				}
				if err := server.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := c.cmd.Process.Kill(); err != nil {
				continue // it has just ended
			}
			if c.wait(y) == nil {
				break // it has ended in the very moment
			}
			procs++
			n := count(stored(t, sqlite(t, o.Dir), o.Run))
			spread[min(9, n*10/total)]++
			c = begin(t, o)
		}
		if err := c.wait(y); err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
		got := audited(t, url, data)
		lost, doubled, again, most = lost+int(got.Lost), doubled+int(got.Doubled), again+y.again(), max(most, y.again())
		if got.Digest == want.Digest && got.Intact() {
			same++
		} else {
			t.Errorf("run %d: %+v", i, got)
		}
		t.Logf("run %d: killed when %v had ended, %d tasks begun again, digest %.12s", i, moments, y.again(), got.Digest)
		e := open(t, order{Dir: o.Dir}.config(&pipeline.Definition{}))
		if info := show(t, e, o.Run); info.Status != pipeline.StatusSucceeded || info.Try != 1 || len(info.Report.Steps) != 7 {
			t.Errorf("run %d is shown as %s, try %d", i, info.Status, info.Try)
		}
	}
	t.Logf("%d of %d runs ended with the digest of the run in peace; %d rows lost, %d doubled", same, *kills, lost, doubled)
	t.Logf("processes killed: %d; database servers killed: %d", procs, servers)
	t.Logf("tasks begun again: %d of %d, at most %d in a run", again, *kills*tasks, most)
	t.Log(table(spread, total))
	if same != *kills {
		t.Errorf("%d of %d", same, *kills)
	}
	if *kills >= 50 {
		for i, n := range spread {
			if n == 0 {
				t.Errorf("no process was killed with %d–%d %% of the records written", i*10, i*10+10)
			}
		}
	}
}

// moment is when something is killed: so many tasks have ended, and a little later.
type moment struct {
	ended  int
	later  time.Duration
	server bool
}

func (m moment) String() string {
	if m.server {
		return fmt.Sprint("server:", m.ended)
	}
	return strconv.Itoa(m.ended)
}

func moments(rng *rand.Rand, tasks, processes, servers int) []moment {
	out := make([]moment, 0, processes+servers)
	for i := range processes + servers {
		out = append(out, moment{rng.IntN(tasks), time.Duration(rng.IntN(15_000)) * time.Microsecond, i >= processes})
	}
	slices.SortStableFunc(out, func(a, b moment) int { return a.ended - b.ended })
	return out
}

func table(spread []int, total int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "records written when the process was killed, of %d:", total)
	for i, n := range spread {
		fmt.Fprintf(&b, "\n%3d–%3d %%  %3d %s", i*10, i*10+10, n, strings.Repeat("█", n))
	}
	return b.String()
}

// locked reports whether somebody is in the middle of a write.
func locked(ctx context.Context, t *testing.T, dir string) bool {
	t.Helper()
	db := sqlite(t, dir)
	if _, err := db.ExecContext(ctx, "pragma busy_timeout = 100"); err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err = c.ExecContext(ctx, "begin immediate"); err != nil {
		return true
	}
	_, err = c.ExecContext(ctx, "rollback")
	return err != nil
}
