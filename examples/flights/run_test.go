package flights

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// open returns perdure's runner on a database of its own, with the tables.
func open(t *testing.T) (Guarded, *pgx.Conn) {
	t.Helper()
	url := server.Database(t)
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	m, err := perdure.New(perdure.Config{Policy: perdure.Policy{Park: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("Close = %v", err)
		}
		db.Close()
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), Schema()); err != nil {
		t.Fatal(err)
	}
	return Guarded{DB: db}, conn
}

// run runs the pipeline to its end and audits it.
func run(t *testing.T, conn *pgx.Conn, c Config, name string) (pipeline.Report, Result) {
	t.Helper()
	report, err := pipeline.Run(t.Context(), Pipeline(c), pipeline.Options{Run: name, Params: c.Params()})
	if err != nil {
		t.Fatal(err)
	}
	result, err := Audit(t.Context(), conn, c.Data)
	if err != nil {
		t.Fatal(err)
	}
	return report, result
}

func embedded(t *testing.T) *Data {
	t.Helper()
	d, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheSameInputGivesTheSameBits(t *testing.T) {
	d := embedded(t)
	runner, conn := open(t)
	report, first := run(t, conn, Config{Data: d, Runner: runner}, "first")
	if !first.Intact() || first.Expected != 3*20_000+3_376+1 {
		t.Fatalf("result = %+v, want it intact", first)
	}
	metrics(t, report)

	other, otherConn := open(t)
	if _, second := run(t, otherConn, Config{Data: d, Runner: other, Parallel: 1, Batch: 1777, PredictBatch: 4001}, "second"); second.Digest != first.Digest {
		t.Errorf("digest with one worker and large batches = %s, with eight and small ones %s", second.Digest, first.Digest)
	}

	runYAML(t, first)

	// The same run again finds everything done.
	if _, again := run(t, conn, Config{Data: d, Runner: runner}, "first"); !cmp.Equal(again, first) {
		t.Errorf("the same run again (-first +again):\n%s", cmp.Diff(first, again))
	}
	auditNotices(t, conn, d, first)
}

// metrics checks that the model has learned something.
func metrics(t *testing.T, report pipeline.Report) {
	t.Helper()
	step, _ := report.Step("evaluate")
	var e evaluated
	if err := json.Unmarshal(step.Output, &e); err != nil {
		t.Fatal(err)
	}
	m := e.Metrics
	t.Logf("AUC %.4f, log loss %.4f, of the base rate %.4f, %d iterations", m.AUC, m.LogLoss, m.BaseLogLoss, e.Model.Iterations)
	if m.AUC < 0.62 || m.LogLoss > 0.97*m.BaseLogLoss {
		t.Errorf("AUC %v and log loss %v (base rate %v) on %d flights of March, want at least 0.62 and a gain of 3 %%", m.AUC, m.LogLoss, m.BaseLogLoss, m.Rows)
	}
	if m.Rows+e.Model.Rows != 20_000 || len(m.Calibration) != 10 {
		t.Errorf("%d rows trained, %d evaluated, %d bins", e.Model.Rows, m.Rows, len(m.Calibration))
	}
	low, high := m.Calibration[0], m.Calibration[9]
	if low.Observed > 0.12 || high.Observed < 0.3 {
		t.Errorf("the lowest tenth was late in %v, the highest in %v", low.Observed, high.Observed)
	}
}

// auditNotices breaks the tables and checks that the audit sees it.
func auditNotices(t *testing.T, conn *pgx.Conn, d *Data, whole Result) {
	t.Helper()
	for name, c := range map[string]struct {
		sql           string
		lost, doubled int64
	}{
		"a lost flight":           {"delete from flight where line = 77", 1, 0},
		"a doubled prediction":    {"insert into prediction (line, probability) select line, probability from prediction where line = 77", 0, 1},
		"a line of no file":       {"insert into flight (line, departure, delay_minutes, distance_miles, origin, destination) values (99999, now(), 0, 0, 'A', 'B')", 0, 1},
		"a lost airport":          {"delete from airport where iata = 'ORD'", 1, 0},
		"a second model":          {"insert into model (name, digest, description) select name, digest, description from model", 0, 1},
		"a count too high":        {"update airport set departures = departures + 1 where iata = 'ORD'", 0, 0},
		"the last bit of a float": {"update feature set route = '0.30000000000000004'::float8 where line = (select min(line) from feature)", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.Background()) }()
			if _, err := conn.Exec(t.Context(), c.sql); err != nil {
				t.Fatal(err)
			}
			r, err := Audit(t.Context(), conn, d)
			if err != nil {
				t.Fatal(err)
			}
			if r.Lost != c.lost || r.Doubled != c.doubled || r.Digest == whole.Digest {
				t.Errorf("lost %d, doubled %d, digest changed: %v, want %d, %d, true", r.Lost, r.Doubled, r.Digest != whole.Digest, c.lost, c.doubled)
			}
		})
	}
}

// TestFeaturesKnowOnlyEarlierDays changes everything from one day on, and finds
// the features of that day and of all earlier ones as they were.
func TestFeaturesKnowOnlyEarlierDays(t *testing.T) {
	d := embedded(t)
	_, conn := open(t)
	insert := func(flights []Flight) {
		t.Helper()
		if _, err := conn.CopyFrom(t.Context(), pgx.Identifier{"flight"},
			[]string{"line", "departure", "delay_minutes", "distance_miles", "origin", "destination"},
			pgx.CopyFromSlice(len(flights), func(i int) ([]any, error) {
				f := flights[i]
				return []any{f.Line, f.Departure, f.Delay, f.Distance, f.Origin, f.Destination}, nil
			})); err != nil {
			t.Fatal(err)
		}
	}
	features := func() map[int]Row {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "truncate feature"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), featuresSQL); err != nil {
			t.Fatal(err)
		}
		rows, err := selection(t.Context(), conn, "")
		if err != nil {
			t.Fatal(err)
		}
		out := make(map[int]Row, len(rows))
		for _, r := range rows {
			r.Late = false // the label is not a feature
			out[r.Line] = r
		}
		return out
	}
	insert(d.Flights)
	before := features()

	cut := time.Date(2001, 2, 10, 0, 0, 0, 0, time.UTC)
	if _, err := conn.Exec(t.Context(), "update flight set delay_minutes = 500 where departure >= $1", cut); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "delete from flight where departure >= $1 and line % 7 = 0", cut.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	after := features()

	same, changed := 0, 0
	for _, f := range d.Flights {
		if f.Departure.Before(cut.AddDate(0, 0, 1)) {
			same++
			if before[f.Line] != after[f.Line] {
				t.Fatalf("line %d on %v: %+v became %+v by what happened later", f.Line, f.Departure, before[f.Line], after[f.Line])
			}
		} else if before[f.Line] != after[f.Line] {
			changed++
		}
	}
	if same < 8000 || changed < 8000 {
		t.Errorf("%d rows must not change and %d did, of those that may: the test saw too little", same, changed)
	}
}

// TestFeaturesByHand checks the numbers of a few flights that can be counted on
// fingers.
func TestFeaturesByHand(t *testing.T) {
	d, err := parse(t, header+
		"2001-01-01 06:30,20,500,DTW,LAS\n"+ // late
		"2001-01-01 12:00,0,500,DTW,LAS\n"+
		"2001-01-02 18:45,0,500,DTW,LAS\n")
	if err != nil {
		t.Fatal(err)
	}
	runner, conn := open(t)
	c := Config{Data: d, Runner: runner}
	definition := Pipeline(c)
	definition.Steps = definition.Steps[:3] // three flights train nothing
	if _, err := pipeline.Run(t.Context(), definition, pipeline.Options{Run: "hand", Params: c.Params()}); err != nil {
		t.Fatal(err)
	}
	got, err := selection(t.Context(), conn, "")
	if err != nil {
		t.Fatal(err)
	}
	share := 2.0 / 7 // (1 late + 1) / (2 flights + 5)
	end := (1 + 20*share) / 22
	want := []Row{
		{Line: 2, Late: true, Hour: 6.5, Weekday: 1, Distance: 0.5, Recent: 0.2, Origin: 0.2, Destination: 0.2, Route: 0.2},
		{Line: 3, Hour: 12, Weekday: 1, Distance: 0.5, Recent: 0.2, Origin: 0.2, Destination: 0.2, Route: 0.2},
		{
			Line: 4, Hour: 18.75, Weekday: 2, Distance: 0.5, Recent: (1 + 50*share) / 52,
			Origin: end, Destination: end, Route: (1 + 10*end) / 12,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
}

func TestBadLinesAreStoredAndStopNothing(t *testing.T) {
	d := embedded(t)
	var b strings.Builder
	b.WriteString(header)
	for i, f := range d.Flights {
		if i%10 == 0 {
			b.WriteString(f.Departure.Format("2006-01-02 15:04") + ",5,100," + f.Origin + "," + f.Destination + "\n")
			b.WriteString(f.Departure.Format("2006-01-02 15:04") + ",30,100," + f.Origin + "," + f.Destination + "\n")
		}
		if i%100 == 0 {
			b.WriteString("rubbish \x00 \xff '); drop table flight; --\n")
		}
	}
	bad, err := parse(t, b.String())
	if err != nil {
		t.Fatal(err)
	}
	runner, conn := open(t)
	_, r := run(t, conn, Config{Data: bad, Runner: runner}, "bad")
	if !r.Intact() || len(bad.Rejects) != 200 || len(bad.Flights) != 4000 {
		t.Errorf("result = %+v with %d rejects and %d flights", r, len(bad.Rejects), len(bad.Flights))
	}
	var n int
	var text string
	if err := conn.QueryRow(t.Context(), "select count(*), min(reason || ': ' || text) from rejected_flight where reason = 'NUL byte'").Scan(&n, &text); err != nil {
		t.Fatal(err)
	}
	if want := "NUL byte: rubbish � � '); drop table flight; --"; n != 200 || text != want {
		t.Errorf("%d rejected, %q, want 200, %q", n, text, want)
	}
}
