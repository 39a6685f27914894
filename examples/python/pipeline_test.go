package python_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/internal/chaos"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

func definition(t *testing.T) pipeline.Definition {
	t.Helper()
	src, err := os.ReadFile("pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := pipeline.Parse("pipeline.yaml", src, builtin.Methods())
	if err != nil {
		t.Fatal(err)
	}
	d.Dir = folder(t)
	return d
}

// run runs the pipeline on the database at url; effects are looked at past the
// faults, at plain.
func run(t *testing.T, d pipeline.Definition, url, plain string) (pipeline.Report, *pgx.Conn) {
	t.Helper()
	db, conn := open(t, url, plain)
	l, err := component.New(component.Config{Factories: builtin.Factories(builtin.Config{
		DB: db, DatabaseURL: redact.NewSecret(url), Log: slog.New(slog.NewTextHandler(logger{t}, nil)),
	})})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Stop = %v", err)
		}
	}()
	r, err := pipeline.Run(t.Context(), d, pipeline.Options{
		Run: "airports", Params: map[string]string{"python": interpreter(t)}, Env: pipeline.Env{Invoker: l},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, conn
}

type logger struct{ t *testing.T }

func (l logger) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// digests are the rows of each table, those that are there twice, and a digest.
const digests = `
select 'airport', count(*), count(*) - count(distinct iata), md5(string_agg(a::text, '|' order by iata)) from airport a union all
select 'feature', count(*), count(*) - count(distinct iata), md5(string_agg(f::text, '|' order by iata)) from feature f union all
select 'model', count(*), count(*) - count(distinct state), md5(string_agg(m::text, '|' order by state)) from model m union all
select 'prediction', count(*), count(*) - count(distinct iata), md5(string_agg(p::text, '|' order by iata)) from prediction p
order by 1`

// TestThePipelineUnderFaults runs the pipeline in peace, and then while its server is
// killed, its connections are cut around COMMIT, and its programs are killed before and after
// theirs. The tables are the same bits.
func TestThePipelineUnderFaults(t *testing.T) {
	d := definition(t)
	peaceful := server.Database(t)
	report, conn := run(t, d, peaceful, peaceful)
	want := text(t, conn, digests)
	if rows := strings.Split(want, "\n"); len(rows) != 4 || !strings.HasPrefix(rows[3], "prediction 3376 0 ") {
		t.Fatalf("tables:\n%s", want)
	}
	learned(t, report)

	c := pgclustertest.New(t, pgcluster.Config{})
	plain := pgclustertest.Database(t, c)
	there, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	storm, err := chaos.New(chaos.Config{Level: chaos.Severe, Seed: 5, Target: there.Host, Cluster: c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, calm := context.WithCancel(context.WithoutCancel(t.Context()))
	over := make(chan error, 1)
	go func() { over <- storm.Run(ctx) }()
	stop := func() error { calm(); return <-over }
	here := *there
	here.Host = storm.Addr()

	// Each program is run by testdata/killed.py, which kills it twelve times.
	count := filepath.Join(t.TempDir(), "count")
	for i := range d.Steps {
		if d.Steps[i].Uses == "process.run" {
			d.Steps[i].With = killed(t, d.Steps[i].With, count)
		}
	}
	report, conn = runStopped(t, d, here.String(), plain, stop)
	if got := text(t, conn, digests); got != want {
		t.Errorf("tables, their rows, rows that are there twice, and digests:\n%s\nwant those in peace:\n%s", got, want)
	}
	learned(t, report)
	kills, err := os.ReadFile(count + ".killed")
	if err != nil {
		t.Fatal(err)
	}
	before, after := strings.Count(string(kills), "before"), strings.Count(string(kills), "after")
	faults := storm.Counts()
	t.Logf("programs killed before COMMIT %d, after COMMIT %d; %+v", before, after, faults)
	if before < 3 || after < 3 || faults.CommitRepliesLost < 10 || faults.CutBeforeCommit < 10 ||
		faults.PostmasterKills+faults.ImmediateStops+faults.BackendKills < 1 {
		t.Error("the faults were fewer than the test is about")
	}
}

// runStopped ends the faults when the run has ended, however it did.
func runStopped(t *testing.T, d pipeline.Definition, url, plain string, stop func() error) (pipeline.Report, *pgx.Conn) {
	t.Helper()
	ended := false
	defer func() {
		if !ended {
			_ = stop() // the run has failed already
		}
	}()
	r, _ := run(t, d, url, plain)
	ended = true
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), plain) // the other one was killed with the server
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return r, conn
}

// killed puts testdata/killed.py before the program of a step.
func killed(t *testing.T, with []byte, count string) []byte {
	t.Helper()
	var in map[string]any
	if err := json.Unmarshal(with, &in); err != nil {
		t.Fatal(err)
	}
	command, ok := in["command"].([]any)
	if !ok || len(command) != 2 {
		t.Fatalf("command = %v", in["command"])
	}
	in["command"] = []any{command[0], filepath.Join("testdata", "killed.py"), command[1]}
	in["env"] = map[string]string{"COUNT": count}
	out, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// learned checks that the classifier knows where airports are that it has not
// seen.
func learned(t *testing.T, r pipeline.Report) {
	t.Helper()
	s, _ := r.Step("accuracy")
	var out struct {
		Rows []struct {
			Unseen   float64 `json:"unseen"`
			Airports int     `json:"airports"`
		} `json:"rows"`
	}
	if err := json.Unmarshal(s.Output, &out); err != nil || len(out.Rows) != 1 {
		t.Fatalf("accuracy = %s, %v", s.Output, err)
	}
	if got := out.Rows[0]; got.Unseen < 0.75 || got.Airports < 600 {
		t.Errorf("accuracy = %+v, want at least 0.75 of some 675", got)
	}
	t.Logf("accuracy on airports that it has not seen: %.4f", out.Rows[0].Unseen)
}
