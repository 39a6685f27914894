package torture

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

//nolint:gochecknoglobals // a flag
var soaking = flag.Duration("soak", 4*time.Second, "how long the soak takes")

const (
	soakRate    = 500 // calls a second
	soakCallers = 64
	soakConns   = 8
	soakSamples = 40
	soakEnd     = time.Minute // for what is under way at the end
)

var (
	opSoakRead  = perdure.Op{Name: "soak.read", ReadOnly: true}    //nolint:gochecknoglobals // an Op is declared once
	opSoakTouch = perdure.Op{Name: "soak.touch", Idempotent: true} //nolint:gochecknoglobals // an Op is declared once
	opSoakWork  = perdure.Op{Name: "soak.work"}                    //nolint:gochecknoglobals // an Op is declared once
)

// soak is a program that works on a server under mild chaos.
type soak struct {
	db               *perdurepgx.DB
	next             atomic.Int64
	done, failed     atomic.Int64
	work, workFailed atomic.Int64 // pieces of work, which leave a row each
	lastErr          atomic.Pointer[error]
}

// call is the n-th call: six in ten read, two touch a row, two are transactions, one of them under a key.
func (s *soak) call(ctx context.Context, n int64) error {
	insert := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into soak (id, at) values ($1, now())", n)
		return err
	}
	switch n % 10 {
	case 0:
		return s.db.InTx(ctx, opSoakWork, pgx.TxOptions{}, insert)
	case 1:
		_, err := perdurepgx.Once(ctx, s.db, opSoakWork, "soak-"+strconv.FormatInt(n, 10), func(ctx context.Context, tx pgx.Tx) (int64, error) {
			return n, insert(ctx, tx)
		})
		return err
	case 2, 3:
		_, err := s.db.Exec(perdure.WithOp(ctx, opSoakTouch), "update touched set at = now() where id = $1", n%100)
		return err
	}
	var id int64
	return s.db.QueryRow(perdure.WithOp(ctx, opSoakRead), "select id from touched where id = $1", n%100).Scan(&id)
}

// run calls until ctx ends, soakRate times a second if the machine can.
func (s *soak) run(ctx context.Context) {
	due := make(chan struct{})
	var wg sync.WaitGroup
	for range soakCallers {
		wg.Go(func() {
			for range due {
				n := s.next.Add(1)
				work := n%10 < 2
				if work {
					s.work.Add(1)
				}
				err := s.call(context.WithoutCancel(ctx), n) // what has begun is finished
				if err == nil {
					s.done.Add(1)
					continue
				}
				s.failed.Add(1)
				s.lastErr.Store(&err)
				if work {
					s.workFailed.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / soakRate)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			select {
			case due <- struct{}{}:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
	}
	close(due)
	wg.Wait()
}

// sample is what must not grow.
type sample struct{ goroutines, connections, heap float64 }

func take(c *pgcluster.Cluster) (sample, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	backends, err := c.Backends()
	return sample{float64(runtime.NumGoroutine()), float64(len(backends)), float64(m.HeapAlloc) / (1 << 20)}, err
}

// medians are those of each value alone.
func medians(samples []sample) sample {
	of := func(value func(sample) float64) float64 {
		all := make([]float64, len(samples))
		for i, s := range samples {
			all[i] = value(s)
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return sample{
		of(func(s sample) float64 { return s.goroutines }), of(func(s sample) float64 { return s.connections }), of(func(s sample) float64 { return s.heap }),
	}
}

// TestSoak works for a long time under mild chaos: nothing may grow, and no
// work may be lost or doubled. "make soak" gives it half an hour.
func TestSoak(t *testing.T) {
	cluster := pgclustertest.New(t, pgcluster.Config{})
	s := &soak{db: soaked(t, cluster)}
	ctx, cancel := context.WithTimeout(t.Context(), *soaking)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { s.run(ctx) })
	// The first tenth is not counted: pools fill, statements are prepared.
	every := *soaking * 9 / 10 / soakSamples
	began := time.Now()
	var samples []sample
	for tick := time.NewTicker(every); len(samples) < soakSamples; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
		}
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) < *soaking/10 {
			continue
		}
		one, err := take(cluster)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, one)
	}
	running.Wait()
	took := time.Since(began)
	s.settle(t)
	quarter := max(len(samples)/4, 1)
	if len(samples) < 4 {
		t.Fatalf("%d samples in %s: the machine is too busy", len(samples), took)
	}
	first, last := medians(samples[:quarter]), medians(samples[len(samples)-quarter:])
	t.Logf("%d calls in %s (%.0f/s), %d failed, %d pieces of work", s.done.Load()+s.failed.Load(), took.Round(time.Second),
		float64(s.done.Load()+s.failed.Load())/took.Seconds(), s.failed.Load(), s.work.Load())
	t.Logf("first quarter: %.0f goroutines, %.0f connections, %.1f MiB", first.goroutines, first.connections, first.heap)
	t.Logf("last quarter:  %.0f goroutines, %.0f connections, %.1f MiB", last.goroutines, last.connections, last.heap)
	for _, g := range growths(first, last) {
		t.Error(g)
	}
}

// growths says what has grown from first to last. What a fault has just cut, and
// what is being looked into, comes and goes.
func growths(first, last sample) []string {
	const goroutines, connections, heap = 3 * soakCallers, soakConns, 4
	var out []string
	if last.goroutines > first.goroutines+goroutines {
		out = append(out, fmt.Sprintf("goroutines grew from %.0f to %.0f", first.goroutines, last.goroutines))
	}
	if last.connections > max(first.connections, soakConns)+connections {
		out = append(out, fmt.Sprintf("connections grew from %.0f to %.0f", first.connections, last.connections))
	}
	if last.heap > 1.25*first.heap+heap {
		out = append(out, fmt.Sprintf("the heap grew from %.1f to %.1f MiB", first.heap, last.heap))
	}
	return out
}

// soaked opens the database of c through mild chaos.
func soaked(t *testing.T, c *pgcluster.Cluster) *perdurepgx.DB {
	t.Helper()
	direct, err := url.Parse(c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	mild, err := chaos.New(chaos.Config{Level: chaos.Mild, Seed: 1, Target: direct.Host, Cluster: c})
	if err != nil {
		t.Fatal(err)
	}
	broken, mend := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- mild.Run(broken) }()
	t.Cleanup(func() {
		mend()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		t.Logf("chaos: %+v", mild.Counts())
	})
	m, err := perdure.New(perdure.Config{
		Policy: perdure.Policy{MaxAttempts: -1, Park: soakEnd},
		Budget: perdure.BudgetConfig{Floor: soakRate}, // the faults are ours, and do not end when callers wait
	})
	if err != nil {
		t.Fatal(err)
	}
	through := *direct
	through.Host = mild.Addr()
	cfg, err := pgxpool.ParseConfig(through.String())
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = soakConns
	db, err := perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{CommitTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), soakEnd)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	if _, err := db.Exec(t.Context(), "create table if not exists soak (id bigint, at timestamptz)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "create table if not exists touched (id bigint primary key, at timestamptz)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), "insert into touched select i, now() from generate_series(0, 99) i on conflict do nothing"); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// settle compares the rows with what was reported.
func (s *soak) settle(t *testing.T) {
	t.Helper()
	var rows, distinct int64
	row := s.db.QueryRow(perdure.WithOp(t.Context(), opSoakRead), "select count(*), count(distinct id) from soak")
	if err := row.Scan(&rows, &distinct); err != nil {
		t.Fatal(err)
	}
	reported := s.work.Load() - s.workFailed.Load()
	if rows != distinct || rows < reported || rows > s.work.Load() {
		t.Errorf("%d rows, %d of them different, of %d pieces of work, %d of which were reported done", rows, distinct, s.work.Load(), reported)
	}
	if err := s.lastErr.Load(); err != nil {
		t.Logf("the last error: %v", *err)
	}
}

func TestWhatGrowsIsTold(t *testing.T) {
	t.Parallel()
	base := sample{100, 8, 20}
	for name, tc := range map[string]struct {
		last sample
		want int
	}{
		"nothing":     {base, 0},
		"goroutines":  {sample{1000, 8, 20}, 1},
		"connections": {sample{100, 80, 20}, 1},
		"the heap":    {sample{100, 8, 60}, 1},
		"all":         {sample{1000, 80, 60}, 3},
	} {
		if got := growths(base, tc.last); len(got) != tc.want {
			t.Errorf("%s: %q, want %d", name, got, tc.want)
		}
	}
}
