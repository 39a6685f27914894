package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/dashboard"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// mill is a program that runs pipelines on a real server, with a dashboard.
type mill struct {
	t        *testing.T
	cluster  *pgcluster.Cluster
	manager  *perdure.Manager
	db       *perdurepgx.DB
	registry *runs.Registry
	observer *observe.Observer
	url      string
	going    sync.WaitGroup
}

func openMill(t *testing.T) *mill {
	t.Helper()
	m := &mill{t: t, cluster: pgclustertest.New(t, pgcluster.Config{}), registry: runs.NewRegistry()}
	pool, err := pgxpool.ParseConfig(m.cluster.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	m.manager, err = perdure.New(perdure.Config{Name: "warehouse", Policy: perdure.Policy{MaxAttempts: 4, Park: 20 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	m.manager.AddHooks(m.registry.Hooks())
	m.db, err = perdurepgx.Open(t.Context(), pool, m.manager, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.db.Pool().Exec(t.Context(), "create table loaded (n int)"); err != nil {
		t.Fatal(err)
	}
	if err := m.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.observer, err = observe.New(observe.Config{Sources: []observe.Source{{Manager: m.manager, Pool: observe.PoolOf(m.db.Pool().Stat)}}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := dashboard.New(m.observer, dashboard.Options{Version: "v0.4.0", Runs: m.registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.going.Go(func() {
		if err := m.observer.Run(ctx); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	server := httptest.NewServer(h)
	m.url = server.URL
	t.Cleanup(func() {
		cancel()
		m.going.Wait()
		server.Close()
		late, end := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer end()
		if err := m.manager.Close(late); err != nil {
			t.Errorf("closing the manager: %v", err)
		}
		m.db.Close()
	})
	return m
}

// start runs a pipeline until its end, or that of the test.
func (m *mill) start(ctx context.Context, run string, d pipeline.Definition) {
	m.t.Helper()
	plan, err := d.Freeze(run, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	w := runs.Watch(runs.Begin{Plan: plan, Engine: runs.Inline}, m.registry, runs.Events(m.observer))
	m.going.Go(func() {
		w.End(pipeline.Run(ctx, d, pipeline.Options{Run: run, Observe: w.Observe}))
	})
}

// insert does n transactions, one after the other, each once.
func (m *mill) insert(n int) pipeline.Func {
	return func(ctx context.Context, _ pipeline.Input) (any, error) {
		for i := range n {
			pipeline.Progress(ctx, i, n)
			_, err := perdurepgx.Once(ctx, m.db, perdure.Op{Name: "loaded.insert"}, pipeline.Key(ctx, strconv.Itoa(i)), func(ctx context.Context, tx pgx.Tx) (int, error) {
				_, err := tx.Exec(ctx, "insert into loaded values ($1)", i)
				return i, err
			})
			if err != nil {
				return nil, err
			}
		}
		pipeline.Progress(ctx, n, n)
		return n, nil
	}
}

// wait waits for a channel, as work would take its time.
func wait(until <-chan struct{}) pipeline.Func {
	return func(ctx context.Context, _ pipeline.Input) (any, error) {
		select {
		case <-until:
			return 1, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func items(n int) pipeline.ItemsFunc {
	return func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
		out := make([]pipeline.Item, n)
		for i := range out {
			out[i] = pipeline.Item{Name: fmt.Sprintf("part%d", i), Value: json.RawMessage("1")}
		}
		return out, nil
	}
}

// TestRunsInARealBrowser shows runs on a real database, which is killed, to a
// real Chromium.
func TestRunsInARealBrowser(t *testing.T) {
	m := openMill(t)
	b := openTab(t, m.url+"/runs")
	b.until("document.querySelector('#fresh.live') !== null")
	b.says("main", "No pipeline has run in this process")

	// A run that works, then waits for a database that is down, then succeeds.
	loaded, trained := make(chan struct{}), make(chan struct{})
	m.start(t.Context(), "flights-2026-11-28", pipeline.Definition{Name: "flights", Steps: []pipeline.Step{
		{Name: "airports", Do: m.insert(40)},
		{Name: "load", Needs: []string{"airports"}, Items: items(30), Do: m.insert(2)},
		{Name: "wait-for-load", Needs: []string{"load"}, Do: wait(loaded)},
		{Name: "features", Needs: []string{"wait-for-load"}, Do: m.insert(40)},
		{Name: "train", Needs: []string{"features"}, Do: wait(trained)},
		{Name: "evaluate", Needs: []string{"train"}, Do: m.insert(20)},
		{Name: "notify", Needs: []string{"evaluate"}, When: "false", Do: m.insert(1)},
	}})
	b.until("document.querySelector('.run.running') !== null && [...document.querySelectorAll('.steps tr.succeeded th')].length === 2")
	b.says(".steps tr.succeeded", "load Succeeded")
	b.says(".figures", "2 of 7")
	b.audit("run-running")
	if err := m.cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	close(loaded)
	b.until("document.querySelector('.run.waiting .note.waits') !== null")
	b.says(".run > .note", "call waits for the database since")
	b.says(".steps tr.waiting", "features Waiting")
	if title := eval[string](b, "document.title"); title != "1 run at work · perdure" {
		t.Errorf("title = %q", title)
	}
	b.says("#spoken", "flights, run flights-2026-11-28: Waiting.")
	b.audit("run-waiting")
	b.do(chromedp.Navigate(m.url + "/"))
	b.until("document.querySelector('#now .state.waiting') !== null")
	b.says("#now", "Waiting flights-2026-11-28")
	b.says("#event-list", "The run begins.")
	b.audit("run-on-overview")
	if err := m.cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(m.url + "/runs?run=flights-2026-11-28"))
	b.until("[...document.querySelectorAll('.steps tr.running th')].some(e => e.textContent === 'train')")
	if n := eval[int](b, "document.querySelectorAll('tr[id$=features] rect.waits').length"); n == 0 {
		t.Error("the time in which the step waited is not drawn")
	}
	close(trained)
	b.until("document.querySelector('.run.succeeded') !== null")
	b.says("tr.omitted", "notify Omitted")
	b.audit("run-succeeded")

	// One that fails, is tried again, and fails.
	m.start(t.Context(), "report-7", pipeline.Definition{Name: "report", Steps: []pipeline.Step{
		{Name: "collect", Do: m.insert(10)},
		{Name: "sum", Needs: []string{"collect"}, Attempts: 2, Do: func(ctx context.Context, _ pipeline.Input) (any, error) {
			_, err := m.db.Exec(ctx, "select 'ada@example.com'::int")
			return nil, pipeline.RetryAt(err, time.Now().Add(3*time.Second))
		}},
		{Name: "send", Needs: []string{"sum"}, Do: m.insert(1)},
		{Name: "archive", Needs: []string{"collect"}, Do: m.insert(40)},
	}})
	b.do(chromedp.Navigate(m.url + "/runs"))
	b.until("[...document.querySelectorAll('#run-report-7 .steps .note.waits')].some(e => e.textContent.includes('tried again at'))")
	b.picture("run-retrying")
	b.until("document.querySelector('#run-report-7.failed') !== null")
	b.says("#run-report-7 > .note.fails", "Step sum failed: invalid_text_representation")
	b.says("#run-report-7 tr.skipped", "send Skipped")
	b.says("#earlier", "flights-2026-11-28")
	b.audit("run-failed")
	if page := eval[string](b, "document.documentElement.outerHTML"); strings.Contains(page, "ada@example") {
		t.Error("the page shows the data of an error")
	}
	b.quiet(m.url)
}

// TestAThousandStepsInARealBrowser, some of which fail, with names as long as
// can be.
func TestAThousandStepsInARealBrowser(t *testing.T) {
	m := openMill(t)
	b := openTab(t, m.url+"/runs")
	long := strings.Repeat("a-name-that-does-not-end.", 4)
	d := pipeline.Definition{Name: long[:100], Parallel: 12}
	going := make(chan struct{})
	for i := range 1000 {
		s := pipeline.Step{Name: fmt.Sprintf("%s%03d", long[:97], i), Do: tick(time.Duration(i%7) * time.Millisecond)}
		switch {
		case i == 400:
			s.Do = func(context.Context, pipeline.Input) (any, error) {
				return nil, errors.New("ada@example.com is no number")
			}
		case i%250 == 249:
			s.Do = wait(going)
		case i >= 12 && i%9 == 0:
			s.Needs = []string{d.Steps[i-12].Name}
		}
		d.Steps = append(d.Steps, s)
	}
	m.start(t.Context(), long[:95]+"-1000", d)
	b.until("[...document.querySelectorAll('.run.running .steps tr.running')].length === 4 && document.querySelector('.run.running .more') !== null")
	b.says(".run.running .more", "succeeded")
	b.picture("run-thousand")
	close(going)
	b.until("document.querySelector('.run.failed .waterfall') !== null")
	b.do(chromedp.Navigate(m.url + "/runs?run=" + long[:95] + "-1000"))
	b.until("document.querySelectorAll('details').length >= 1 && document.querySelector('#fresh.live') !== null")
	b.says("details summary", "succeeded")
	b.says("details .more", "and 8")
	b.until("[...document.querySelectorAll('details')].map((d) => d.open = true).length >= 1") // what is folded is looked at, too
	b.audit("run-thousand-all")
	b.quiet(m.url)
}

// tick takes its time.
func tick(d time.Duration) pipeline.Func {
	return func(ctx context.Context, _ pipeline.Input) (any, error) {
		select {
		case <-time.After(d):
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
