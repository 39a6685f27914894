package perduredbos_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perduredbos"
	"github.com/perdure/perdure/pipeline"
)

// TestRunsInPostgres: what TestStop… and others show with a directory, with a server that keeps the runs.
func TestRunsInPostgres(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	url := pgclustertest.Database(t, server)
	var c counter
	inB, goOn, stop := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	d := chain(&c, func(ctx context.Context, _ pipeline.Input) (any, error) {
		inB <- struct{}{}
		select {
		case <-goOn:
			return 2, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	})
	conf := func() perduredbos.Config { return perduredbos.Config{DatabaseURL: url, Env: env(d)} }
	e, other := open(t, conf()), open(t, conf())
	if runs, err := e.List(t.Context(), 0); err != nil || len(runs) != 0 {
		t.Fatalf("runs of an empty database = %v, %v", runs, err)
	}
	ended := make(chan error, 1)
	run := func(e *perduredbos.Engine, o pipeline.DurableOptions) {
		_, err := e.Run(t.Context(), freeze(t, d, "r", nil), o)
		ended <- err
	}
	go run(e, pipeline.DurableOptions{Stop: stop})
	arrives(t, inB, ended)
	if info := show(t, other, "r"); info.Status != pipeline.StatusRunning || info.Report.Steps[1].Status != pipeline.StatusRunning {
		t.Errorf("the run at work = %s", asJSON(t, info))
	}
	if _, err := other.Resume(t.Context(), "r", pipeline.DurableOptions{}); !errors.Is(err, pipeline.ErrRunning) {
		t.Errorf("Resume of a run at work = %v", err)
	}
	close(stop)
	goOn <- struct{}{}
	if err := <-ended; !errors.Is(err, pipeline.ErrStopped) {
		t.Fatalf("error %v, want ErrStopped", err)
	}
	if info := show(t, other, "r"); info.Status != pipeline.StatusInterrupted {
		t.Errorf("status %s, want interrupted", info.Status)
	}

	report, err := other.Resume(t.Context(), "r", pipeline.DurableOptions{})
	if err != nil || report.Status != pipeline.StatusSucceeded || c.of("a") != 1 || c.of("b") != 1 {
		t.Fatalf("report %s, %v, begun %v", report.Status, err, c.begun)
	}
	if info := show(t, e, "r"); info.Status != pipeline.StatusSucceeded || asJSON(t, info.Report) != asJSON(t, report) {
		t.Errorf("shown is %s, returned was %s", asJSON(t, info.Report), asJSON(t, report))
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var schemas string
	if err := conn.QueryRow(t.Context(), `select string_agg(nspname, ' ' order by nspname) from pg_namespace
		where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')`).Scan(&schemas); err != nil || schemas != "perdure_runs" {
		t.Errorf("schemas %q, %v: want its own alone", schemas, err)
	}
}

// TestTakenOverRunStops: the process that had the run stores nothing more and says why.
func TestTakenOverRunStops(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	url := pgclustertest.Database(t, server)
	for name, cfg := range map[string]perduredbos.Config{"directory": {Dir: t.TempDir()}, "postgres": {DatabaseURL: url}} {
		t.Run(name, func(t *testing.T) {
			var c counter
			inB, goOn := make(chan struct{}, 2), make(chan struct{})
			d := chain(&c, func(ctx context.Context, _ pipeline.Input) (any, error) {
				if c.of("b") > 1 {
					return 2, nil
				}
				inB <- struct{}{}
				<-goOn // not even when it is canceled: as one that is frozen
				return 1, nil
			})
			cfg.Env = env(d)
			e, other := open(t, cfg), open(t, cfg)
			ended := make(chan error, 1)
			go func() {
				_, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{})
				ended <- err
			}()
			arrives(t, inB, ended)
			report, err := other.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{TakeOver: true})
			if err != nil || report.Status != pipeline.StatusSucceeded {
				t.Fatalf("taken over: %s, %v", report.Status, err)
			}
			close(goOn)
			if err := <-ended; !errors.Is(err, perduredbos.ErrTakenOver) {
				t.Errorf("error %v, want ErrTakenOver", err)
			}
			if s, _ := show(t, e, "r").Report.Step("b"); string(s.Output) != "2" || c.of("a") != 1 || c.of("c") != 1 {
				t.Errorf("output of b %s, begun %v: want what the second process did", s.Output, c.begun)
			}
		})
	}
}

// TestTheServerOfTheRunsIsKilled: the run waits for it, and the lock is taken again.
func TestTheServerOfTheRunsIsKilled(t *testing.T) {
	server := pgclustertest.New(t, pgcluster.Config{})
	url := server.URL("postgres")
	var c counter
	d := chain(&c, func(ctx context.Context, _ pipeline.Input) (any, error) {
		if err := server.Kill(); err != nil {
			return nil, err
		}
		return 2, server.Start(context.WithoutCancel(ctx))
	})
	e := open(t, perduredbos.Config{DatabaseURL: url, Env: env(d)})
	report, err := e.Run(t.Context(), freeze(t, d, "r", nil), pipeline.DurableOptions{})
	if err != nil || report.Status != pipeline.StatusSucceeded || c.of("b") != 1 {
		t.Errorf("report %s, %v, begun %v", report.Status, err, c.begun)
	}
}

func TestUnreachableServerIsAStateError(t *testing.T) {
	_, err := perduredbos.Open(t.Context(), perduredbos.Config{
		DatabaseURL: "postgres://user:secret@127.0.0.1:1/db?sslmode=disable", Log: slog.New(slog.DiscardHandler),
	})
	s, ok := errors.AsType[*perduredbos.StateError](err)
	if !ok || s.Hint() == "" || strings.Contains(s.Error(), "secret") {
		t.Errorf("error %v (%T), hint %q", err, err, hint(s))
	}
}
