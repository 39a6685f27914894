package python_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// thing is a result that JSON can spoil.
type thing struct {
	Text string    `json:"text"`
	List []float64 `json:"list"`
	None *int      `json:"none"`
}

func a() thing { return thing{Text: "ü\"'\\", List: []float64{1, 0.1, 1e300}} }

const aJSON = `{"list": [1, 0.1, 1e300], "none": null, "text": "ü\"'\\"}`

func TestAKeyIsTheSameInGoAndPython(t *testing.T) {
	url := server.Database(t)
	db, conn := open(t, url, url)
	text(t, conn, "create table effect (by text)")
	op := perdure.Op{Name: "twin"}
	goes := func(key string, ran *int) (thing, error) {
		return perdurepgx.Once(t.Context(), db, op, key, func(ctx context.Context, tx pgx.Tx) (thing, error) {
			*ran++
			_, err := tx.Exec(ctx, "insert into effect values ('go')")
			return a(), err
		})
	}
	pythons := func(name string) (thing, int) {
		t.Helper()
		out, code, stderr := once(t, url, nil, name, aJSON).end(t)
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		var r struct {
			Result thing `json:"result"`
			Ran    int   `json:"ran"`
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		return r.Result, r.Ran
	}
	for _, first := range []string{"go", "python"} {
		ran := 0
		key := "run/step/process/" + first
		if first == "go" {
			if _, err := goes(key, &ran); err != nil {
				t.Fatal(err)
			}
		} else if got, n := pythons(first); n != 1 || !cmp.Equal(got, a()) {
			t.Errorf("Python first = %+v, ran %d times", got, n)
		}
		for range 2 {
			if got, n := pythons(first); n != 0 || !cmp.Equal(got, a()) {
				t.Errorf("%s first: Python then = %+v, ran %d times", first, got, n)
			}
			was := ran
			if got, err := goes(key, &ran); err != nil || ran != was || !cmp.Equal(got, a()) {
				t.Errorf("%s first: Go then = %+v, %v, ran %d times", first, got, err, ran-was)
			}
		}
	}
	if got := text(t, conn, "select by, count(*) from effect group by by order by by"); got != "go 1\npython 1" {
		t.Errorf("effects:\n%s", got)
	}
}

// waits reports whether a session waits for the key of another's transaction.
const waits = "select count(*) > 0 from pg_stat_activity where datname = current_database() and query ~ 'begin_once' and wait_event_type = 'Lock'"

func until(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	for text(t, conn, sql) != "true" {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwinsAtTheSameTimeWaitForEachOther(t *testing.T) {
	url := server.Database(t)
	db, conn := open(t, url, url)
	text(t, conn, "create table effect (by text)")
	op := perdure.Op{Name: "twin"}

	// Go is at work when Python comes.
	var p *program
	got, err := perdurepgx.Once(t.Context(), db, op, "run/step/process/one", func(ctx context.Context, tx pgx.Tx) (string, error) {
		p = once(t, url, nil, "one", `"python's"`)
		until(t, conn, waits)
		_, err := tx.Exec(ctx, "insert into effect values ('go')")
		return "go's", err
	})
	if err != nil || got != "go's" {
		t.Errorf("Once = %q, %v", got, err)
	}
	if out, code, stderr := p.end(t); code != 0 || out != `{"result": "go's", "ran": 0}` {
		t.Errorf("Python, the second, = %s, exit code %d: %s", out, code, stderr)
	}

	// Python is at work when Go comes.
	p = once(t, url, nil, "two", `"python's"`, "hold")
	if got := p.line(t); got != "holding" {
		t.Fatalf("Python says %q", got)
	}
	done := make(chan string, 1)
	go func() {
		got, err := perdurepgx.Once(t.Context(), db, op, "run/step/process/two", func(ctx context.Context, tx pgx.Tx) (string, error) {
			_, err := tx.Exec(ctx, "insert into effect values ('go, the second')")
			return "go's", err
		})
		done <- fmt.Sprint(got, err)
	}()
	until(t, conn, waits)
	if _, err := p.in.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != "python's<nil>" {
		t.Errorf("Go, the second, = %s", got)
	}
	if out, code, stderr := p.end(t); code != 0 || out != `{"result": "python's", "ran": 1}` {
		t.Errorf("Python, the first, = %s, exit code %d: %s", out, code, stderr)
	}
	if got := text(t, conn, "select by from effect order by by"); got != "go\npython" {
		t.Errorf("effects:\n%s", got)
	}
}

func TestNamesAreWrittenIntoKeysAsPipelineDoes(t *testing.T) {
	names := []string{"plain", "a/b", "100%", "%2F", "ü b", "a%2Fb/c"}
	var want []string
	d := pipeline.Definition{Name: "p", Steps: []pipeline.Step{{Name: "s", Do: func(ctx context.Context, _ pipeline.Input) (any, error) {
		for _, n := range names {
			want = append(want, pipeline.Key(ctx, n))
		}
		return nil, nil
	}}}}
	if _, err := pipeline.Run(t.Context(), d, pipeline.Options{Run: "r"}); err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter(t), "-B", "-c", //nolint:gosec // the test's own
		"import json, sys; from perdure_once import escape; print(json.dumps(['r/s/' + escape(n) for n in json.loads(sys.argv[1])]))", string(list))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-Go +Python):\n%s", diff)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	url := server.Database(t)
	_, conn := open(t, url, url)
	text(t, conn, "create table effect (by text)")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "postgres://" + l.Addr().String() + "/postgres"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, url string
		env, args []string
		code      int
		says      string
	}{
		{"a COMMIT of its own", url, nil, []string{"committed", "1", "commit"}, 1, "ended its transaction"},
		{"its key then", url, nil, []string{"committed", "1"}, 1, "some of it may be missing"},
		{"a ROLLBACK of its own", url, nil, []string{"rolled", "1", "rollback"}, 1, "ended its transaction"},
		{"its key then is free", url, nil, []string{"rolled", "1"}, 0, ""},
		{"a once in a once", url, nil, []string{"nested", "1", "nested"}, 1, "transaction within a transaction"},
		{"an exception", url, nil, []string{"broken", "1", "broken"}, 1, "ValueError: of its own"},
		{"its name then is free", url, nil, []string{"broken", "1"}, 0, ""},
		{"a query that writes", url, nil, []string{"read", "1", "read"}, 1, "read-only transaction"},
		{"no key", url, []string{"PERDURE_KEY="}, []string{"x", "1"}, 1, "PERDURE_KEY is not set"},
		{"a name without an end", url, nil, []string{strings.Repeat("x", 1024), "1"}, 1, "longer than 1024 bytes"},
		{"a result that is no JSON", url, nil, []string{"nan", "NaN"}, 1, "not JSON compliant"},
		{"a database that is not there", strings.Replace(url, "/test_", "/not_", 1), nil, []string{"x", "1"}, 1, "does not exist"},
		{"a URL with a fault", url + "d", nil, []string{"x", "1"}, 1, "disabled"},
		{"a server that is not there", nobody, []string{"PATIENCE=0.3"}, []string{"x", "1", "code"}, 75, "trying again"},
	} {
		out, code, stderr := once(t, c.url, c.env, c.args...).end(t)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit code %d, %s %s; want %d and %q", c.name, code, out, stderr, c.code, c.says)
		}
	}
	// Of all that, only these three have happened: what was committed by itself, and what was free again.
	if got := text(t, conn, "select count(*) from effect"); got != "3" {
		t.Errorf("%s effects, want 3", got)
	}
}
