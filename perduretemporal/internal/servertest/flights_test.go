//go:build temporal && unix

package servertest

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// site is a database server with the result of a run in peace to compare with.
type site struct {
	cluster *pgcluster.Cluster
	data    *flights.Data
	plan    pipeline.Plan
	peace   flights.Result
}

func newSite(t *testing.T) *site {
	t.Helper()
	d, err := flights.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{cluster: pgclustertest.New(t, pgcluster.Config{}), data: d}
	url := s.database(t)
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defer m.Close(context.Background())
	c := config(d, flights.Guarded{DB: db})
	if s.plan, err = flights.Pipeline(c).Freeze("peace", c.Params()); err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.Run(t.Context(), flights.Pipeline(c), pipeline.Options{Run: "peace", Params: c.Params()}); err != nil {
		t.Fatal(err)
	}
	s.peace = s.audit(t, url)
	if !s.peace.Intact() {
		t.Fatalf("in peace: %+v", s.peace)
	}
	return s
}

// database makes one with perdure's tables and the pipeline's.
func (s *site) database(t *testing.T) string {
	t.Helper()
	url := pgclustertest.Database(t, s.cluster)
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defer m.Close(context.Background())
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), flights.Schema()); err != nil {
		t.Fatal(err)
	}
	// A worker that is frozen within a transaction holds its locks until the server ends it.
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("alter database %q set idle_in_transaction_session_timeout = '1s'", conn.Config().Database)); err != nil {
		t.Fatal(err)
	}
	return url
}

func (s *site) audit(t *testing.T, url string) flights.Result {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	r, err := flights.Audit(t.Context(), conn, s.data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// same checks that nothing tells the database from one of a run in peace.
func (s *site) same(t *testing.T, url string) {
	t.Helper()
	r := s.audit(t, url)
	if !r.Intact() || r.Digest != s.peace.Digest {
		t.Errorf("lost %d, doubled %d, digest %.12s, want 0, 0, %.12s", r.Lost, r.Doubled, r.Digest, s.peace.Digest)
	}
	t.Logf("%d rows, lost %d, doubled %d, digest %.16s, as in peace", r.Expected, r.Lost, r.Doubled, r.Digest)
}

// run starts the run and returns how it ends.
func (s *site) run(t *testing.T, e *perduretemporal.Engine, name string) <-chan result {
	t.Helper()
	s.plan.Run = name
	over := make(chan result, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		report, err := e.Run(ctx, s.plan, pipeline.DurableOptions{Observe: func(ev pipeline.Event) {
			if ev.Kind != pipeline.EventProgress {
				t.Logf("step %s: %s %v", ev.Step, ev.Status, ev.Failure)
			}
		}})
		over <- result{report, err}
	}()
	return over
}

type result struct {
	report pipeline.Report
	err    error
}

// TestFlights runs the pipeline of the example, by worker processes to which the
// worst happens, and finds what a run in peace left.
func TestFlights(t *testing.T) {
	s := newSite(t)
	temporal := newServer(t)
	t.Run("a worker is killed in mid-step, and the run goes on", func(t *testing.T) { killed(t, s, temporal) })
	t.Run("a frozen worker that wakes up doubles nothing", func(t *testing.T) { frozen(t, s, temporal) })
}

func killed(t *testing.T, s *site, temporal *server) { //nolint:thelper // a test
	url := s.database(t)
	e := temporal.open(t, perduretemporal.Config{})

	// The first has loaded a batch, and dies before it can say so.
	victim := startWorker(t, temporal, url, "after load")
	over := s.run(t, e, "killed")
	victim.says(t, "hanging", over)
	victim.signal(t, syscall.SIGKILL)
	t.Log("a worker was killed between its effect and its answer")

	// The second has the database killed under it, three times, and a step that works.
	heir := startWorker(t, temporal, url, "")
	for _, step := range []string{"load", "features", "predict"} {
		heir.says(t, "begin "+step, over)
		if err := s.cluster.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.cluster.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("the database was killed in step %s, and started again", step)
	}
	r := <-over
	if r.err != nil {
		t.Fatal(r.err)
	}
	tries := 0
	for _, step := range r.report.Steps {
		if step.Status != pipeline.StatusSucceeded {
			t.Errorf("step %s = %s", step.Name, step.Status)
		}
		tries += step.Attempts
	}
	t.Logf("%d steps, %d tries of tasks, %v", len(r.report.Steps), tries, r.report.Duration.Round(time.Millisecond))
	s.same(t, url)
}

func frozen(t *testing.T, s *site, temporal *server) { //nolint:thelper // a test
	url := s.database(t)
	e := temporal.open(t, perduretemporal.Config{Heartbeat: 5 * time.Second})

	zombie := startWorker(t, temporal, url, "before load")
	over := s.run(t, e, "frozen")
	zombie.says(t, "hanging", over)
	zombie.signal(t, syscall.SIGSTOP)

	heir := startWorker(t, temporal, url, "")
	r := <-over
	if r.err != nil {
		t.Fatal(r.err)
	}
	s.same(t, url)
	if heir.said("begin load") == 0 {
		t.Error("the heir had nothing to do")
	}

	zombie.signal(t, syscall.SIGCONT)
	if _, err := zombie.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	line := zombie.says(t, "zombie load", nil)
	if !strings.HasSuffix(line, "<nil>") {
		t.Errorf("the zombie said %q, want that it found its work done", line)
	}
	s.same(t, url)

	// A second start of the same run is told how the first one ended.
	again, err := e.Run(t.Context(), s.plan, pipeline.DurableOptions{})
	if err != nil || !again.Started.Equal(r.report.Started) {
		t.Errorf("Run again = %v, %v, want the report of %v", again.Started, err, r.report.Started)
	}
}
