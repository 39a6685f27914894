//go:build temporal && unix

package servertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/pipeline"
)

// What a worker process is told by its environment.
const (
	envWorker   = "PERDURE_TEST_WORKER" // the address of Temporal
	envDatabase = "PERDURE_TEST_DATABASE"
	envHang     = "PERDURE_TEST_HANG" // where it hangs: before STEP or after STEP
)

// batch sizes: some 160 tasks.
func config(d *flights.Data, r flights.Runner) flights.Config {
	return flights.Config{Data: d, Runner: r, Batch: 250, PredictBatch: 400}
}

// work is the worker process. It says on standard output what it begins and
// ends, hangs where it is told to until a line comes on standard input, and ends with SIGTERM.
func work() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := workFlights(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

func workFlights(ctx context.Context) error {
	d, err := flights.Embedded()
	if err != nil {
		return err
	}
	m, err := perdure.New(perdure.Config{Policy: perdure.Policy{Park: time.Minute}})
	if err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(os.Getenv(envDatabase))
	if err != nil {
		return err
	}
	db, err := perdurepgx.Open(ctx, cfg, m, perdurepgx.Config{})
	if err != nil {
		return err
	}
	e, err := perduretemporal.Open(ctx, perduretemporal.Config{HostPort: os.Getenv(envWorker)})
	if err != nil {
		return err
	}
	def := flights.Pipeline(config(d, flights.Guarded{DB: db}))
	h := &hang{at: os.Getenv(envHang), token: bufio.NewReader(os.Stdin)}
	for i := range def.Steps {
		def.Steps[i].Do = h.wrap(def.Steps[i].Name, def.Steps[i].Do)
	}
	w, err := perduretemporal.NewWorker(e, perduretemporal.WorkerConfig{Parallel: 4, Env: pipeline.Env{
		Pipeline: func(name string) (pipeline.Definition, bool) { return def, name == def.Name },
	}})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// hang stops a worker where its end hurts most: once, before or after an effect.
type hang struct {
	at    string
	token *bufio.Reader
	once  bool
}

func (h *hang) wrap(step string, do pipeline.Func) pipeline.Func {
	return func(ctx context.Context, in pipeline.Input) (any, error) {
		fmt.Println("begin", step)
		if h.at == "before "+step && !h.once {
			h.once = true
			h.wait()
			// A step that knows nothing of its context: the keys alone must hold.
			out, err := do(context.WithoutCancel(ctx), in)
			fmt.Println("zombie", step, err)
			return out, err
		}
		out, err := do(ctx, in)
		if h.at == "after "+step && !h.once {
			h.once = true
			h.wait()
		}
		fmt.Println("end", step)
		return out, err
	}
}

func (h *hang) wait() {
	fmt.Println("hanging")
	_, _ = h.token.ReadString('\n')
}

// process is a worker process of a test.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	errs  strings.Builder
}

func startWorker(t *testing.T, s *server, database, hang string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^$"), lines: make(chan string, 10_000)}
	p.cmd.Env = append(os.Environ(), envWorker+"="+s.addr, envDatabase+"="+database, envHang+"="+hang)
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		p.signal(t, syscall.SIGKILL)
		<-read
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("worker %d: %s", p.cmd.Process.Pid, p.errs.String())
		}
	})
	return p
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to worker %d: %v", p.cmd.Process.Pid, err)
	}
}

// says waits for a line that begins so, while the run goes on.
func (p *process) says(t *testing.T, prefix string, over <-chan result) string {
	t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	var last string
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				t.Fatalf("the worker ended and never said %q", prefix)
			}
			if last = line; strings.HasPrefix(line, prefix) {
				return line
			}
		case r := <-over:
			t.Fatalf("the run ended, %s, %v, before the worker said %q", r.report.Status, r.err, prefix)
		case <-limit.C:
			t.Fatalf("the worker did not say %q in five minutes, its last line was %q", prefix, last)
		}
	}
}

// said counts the lines so far that begin so.
func (p *process) said(prefix string) int {
	n := 0
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				return n
			}
			if strings.HasPrefix(line, prefix) {
				n++
			}
		default:
			return n
		}
	}
}
