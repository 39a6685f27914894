package flights

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/pipeline"
)

// definition returns pipeline.yaml with its files in a directory of the test's.
func definition(t *testing.T) pipeline.Definition {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, Files()); err != nil {
		t.Fatal(err)
	}
	d, err := YAML(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// environment starts the components of pipeline.yaml.
func environment(t *testing.T, g Guarded) pipeline.Env {
	t.Helper()
	l, err := component.New(component.Config{Factories: append(builtin.Factories(builtin.Config{DB: g.DB}), Factory(g.DB))})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(context.Background()); err != nil {
			t.Errorf("Stop = %v", err)
		}
	})
	return pipeline.Env{Invoker: l}
}

// TestYAMLGivesTheBitsOfGo runs pipeline.yaml and the pipeline in Go on the same
// flights, a few of each month and some lines that are none.
func TestYAMLGivesTheBitsOfGo(t *testing.T) {
	text := excerpt(t)
	data, err := parse(t, text)
	if err != nil {
		t.Fatal(err)
	}
	runner, conn := open(t)
	_, want := run(t, conn, Config{Data: data, Runner: runner}, "go")
	if !want.Intact() || len(data.Rejects) == 0 {
		t.Fatalf("the run in Go = %+v", want)
	}

	file := filepath.Join(t.TempDir(), "flights.csv")
	write(t, file, text)
	other, otherConn := open(t)
	if _, err := otherConn.Exec(t.Context(), "drop table airport, flight, rejected_flight, feature, model, prediction"); err != nil {
		t.Fatal(err) // the pipeline makes its own
	}
	d, env := definition(t), environment(t, other)
	var reports []pipeline.Report
	for range 2 { // the second finds everything done
		report, err := pipeline.Run(t.Context(), d, pipeline.Options{Run: "yaml", Params: map[string]any{"flights": file}, Env: env})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Audit(t.Context(), otherConn, data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tables (-Go +YAML):\n%s", diff)
		}
		reports = append(reports, report)
	}
	for i, s := range reports[1].Steps {
		if got, want := string(s.Output), string(reports[0].Steps[i].Output); got != want {
			t.Errorf("step %s again = %s, want %s", s.Name, got, want)
		}
	}

	// Another file under the same run is no file of this run, for each step that reads it.
	lines := strings.SplitAfter(text, "\n")
	write(t, file, strings.Join(slices.Delete(lines, 5, 6), ""))
	_, err = pipeline.Run(t.Context(), d, pipeline.Options{Run: "yaml", Params: map[string]any{"flights": file}, Env: environment(t, other)})
	if err == nil || !strings.Contains(err.Error(), "is not the file that this run began with") {
		t.Errorf("a changed file = %v", err)
	}
	in := fmt.Sprintf(`{"file":%q,"sha256":%q,"from":0,"count":10}`, file, data.SHA256)
	if _, err = environment(t, other).Invoker.Invoke(t.Context(), "flights", "load", []byte(in)); err == nil || !strings.Contains(err.Error(), "is not the file") {
		t.Errorf("a batch of a changed file = %v", err)
	}
}

// excerpt is a file with 400 flights of each month, and ten lines that are none.
func excerpt(t *testing.T) string {
	t.Helper()
	months := map[string]int{}
	var b strings.Builder
	b.WriteString(header)
	for line := range strings.Lines(strings.TrimPrefix(string(flightsCSV), header)) {
		if months[line[:7]]++; months[line[:7]] > 400 {
			continue
		}
		if months[line[:7]]%100 == 0 {
			b.WriteString("rubbish\n")
		}
		b.WriteString(line)
	}
	return b.String()
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheComponentRefusesWhatIsNoBatch(t *testing.T) {
	g, _ := open(t)
	env := environment(t, g)
	file := filepath.Join(t.TempDir(), "flights.csv")
	write(t, file, header+"2001-01-01 06:30,20,500,DTW,LAS\n")
	d, err := parse(t, header+"2001-01-01 06:30,20,500,DTW,LAS\n")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{"file":"F","sha256":"S","from":1,"count":1}`:  "from: there are 1",
		`{"file":"F","sha256":"S","from":0,"count":0}`:  "want at least 0 and 1",
		`{"file":"F","sha256":"S","from":-1,"count":1}`: "want at least 0 and 1",
		`{"file":"F","from":0,"count":1}`:               "sha256",
		`{"file":"no","sha256":"S","from":0,"count":1}`: "no such file",
	} {
		in = strings.NewReplacer(`"F"`, fmt.Sprintf("%q", file), `"S"`, fmt.Sprintf("%q", d.SHA256)).Replace(in)
		if _, err := env.Invoker.Invoke(t.Context(), "flights", "load", []byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("load %s = %v, want an error with %q", in, err, want)
		}
	}
	for method, in := range map[string]string{
		"read": `{"file":"x","batch":0,"predict_batch":1}`, "evaluate": `{"model":null,"base":0.5}`,
		"predict": `{"file":"x","sha256":"x","from":0,"count":1,"model":null}`,
	} {
		if _, err := env.Invoker.Invoke(t.Context(), "flights", method, []byte(in)); err == nil {
			t.Errorf("%s %s was taken", method, in)
		}
	}
}

// runYAML runs pipeline.yaml on all flights, and compares.
func runYAML(t *testing.T, want Result) {
	t.Helper()
	g, conn := open(t)
	if _, err := pipeline.Run(t.Context(), definition(t), pipeline.Options{Run: "yaml", Env: environment(t, g)}); err != nil {
		t.Fatal(err)
	}
	got, err := Audit(t.Context(), conn, embedded(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables (-Go +YAML):\n%s", diff)
	}
}
