package perduredbos_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

const childEnv = "PERDURE_TEST_CHILD"

// order is what a child process is to do: run, or go on with, a small slice of the flights
// pipeline.
type order struct {
	Dir      string // of the runs
	StateURL string // or the PostgreSQL of the runs
	URL      string // of the database that the pipeline works on
	Run      string
	TakeOver bool
}

func (o order) config(d *pipeline.Definition) perduredbos.Config {
	return perduredbos.Config{Dir: o.Dir, DatabaseURL: o.StateURL, Env: env(d), Poll: 200 * time.Millisecond}
}

// slice is every tenth line of the data.
func slice() (*flights.Data, error) {
	d, err := flights.Embedded()
	if err != nil {
		return nil, err
	}
	small := *d
	small.Flights, small.Rejects = nil, nil
	for i, f := range d.Flights {
		if i%10 == 0 {
			small.Flights = append(small.Flights, f)
		}
	}
	return &small, nil
}

func small(d *flights.Data, r flights.Runner) flights.Config {
	return flights.Config{Data: d, Runner: r, Batch: 200, PredictBatch: 100, Parallel: 4}
}

// childMain runs the order, and says on stdout what it begins and ends.
func childMain(raw string) error {
	var o order
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		return err
	}
	ctx := context.Background()
	data, err := slice()
	if err != nil {
		return err
	}
	m, err := perdure.New(perdure.Config{Policy: perdure.Policy{MaxAttempts: 30, Park: 2 * time.Minute}, Budget: perdure.BudgetConfig{Floor: 100}})
	if err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return err
	}
	db, err := perdurepgx.Open(ctx, cfg, m, perdurepgx.Config{})
	if err != nil {
		return err
	}
	c := small(data, flights.Guarded{DB: db})
	d := told(flights.Pipeline(c))
	conf := o.config(&d)
	conf.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e, err := perduredbos.Open(ctx, conf)
	if err != nil {
		return err
	}
	plan, err := d.Freeze(o.Run, c.Params())
	if err != nil {
		return err
	}
	_, err = e.Run(ctx, plan, pipeline.DurableOptions{TakeOver: o.TakeOver})
	err = errors.Join(err, m.Close(ctx), e.Close())
	db.Close()
	return err
}

// told is the definition whose tasks say when they begin and end.
func told(d pipeline.Definition) pipeline.Definition {
	var mu sync.Mutex
	say := func(word, task string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Println(word, task) // to the parent; if that is gone, nobody listens
	}
	for i := range d.Steps {
		s := &d.Steps[i]
		do, items := s.Do, s.Items
		s.Do = func(ctx context.Context, in pipeline.Input) (any, error) {
			task := pipeline.Key(ctx, "")
			say("begin", task)
			out, err := do(ctx, in)
			if err == nil {
				say("end", task)
			}
			return out, err
		}
		if items == nil {
			continue
		}
		s.Items = func(ctx context.Context, in pipeline.Input) ([]pipeline.Item, error) {
			say("begin", pipeline.Key(ctx, "list"))
			defer say("end", pipeline.Key(ctx, "list"))
			return items(ctx, in)
		}
	}
	return d
}

// child is a process that works on a run.
type child struct {
	cmd   *exec.Cmd
	lines chan string
	talk  strings.Builder // stderr; to be read when it has ended
	ended chan error
}

func begin(t *testing.T, o order) *child {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(self), lines: make(chan string, 10_000), ended: make(chan error, 1)}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(raw))
	c.cmd.Stderr = io.MultiWriter(&c.talk, t.Output())
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			c.lines <- s.Text()
		}
		close(c.lines)
		c.ended <- c.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it has ended, if all went well
		for range c.lines {
		}
	})
	return c
}

// tally knows which tasks were begun and ended, in all processes of a run.
type tally struct {
	begun map[string]int
	ended map[string]bool
}

func newTally() *tally { return &tally{begun: make(map[string]int), ended: make(map[string]bool)} }

func (y *tally) take(line string) {
	switch word, task, _ := strings.Cut(line, " "); word {
	case "begin":
		y.begun[task]++
	case "end":
		y.ended[task] = true
	}
}

// again counts the tasks that were begun more than once.
func (y *tally) again() (n int) {
	for _, times := range y.begun {
		n += times - 1
	}
	return n
}

// until reads what the child says until so many tasks have ended. It reports
// whether the child is still there then.
func (c *child) until(y *tally, ended int) bool {
	for len(y.ended) < ended {
		line, ok := <-c.lines
		if !ok {
			return false
		}
		y.take(line)
	}
	return true
}

// wait reads on until the child has ended, and returns how it ended, with what it said.
func (c *child) wait(y *tally) error {
	for line := range c.lines {
		y.take(line)
	}
	if err := <-c.ended; err != nil {
		return fmt.Errorf("%w: %s", err, c.talk.String())
	}
	return nil
}

// target is a database of its own with the tables of the example.
func target(t *testing.T, url string) (conn *pgx.Conn) {
	t.Helper()
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
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if conn, err = pgx.Connect(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), flights.Schema()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// audited counts and digests what a run left.
func audited(t *testing.T, url string, data *flights.Data) flights.Result {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	r, err := flights.Audit(t.Context(), conn, data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
