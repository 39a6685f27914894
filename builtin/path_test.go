package builtin_test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreFoundBesideThePipeline(t *testing.T) {
	h := open(t, server.Database(t))
	d := parse(t, `
name: p
steps:
  - {name: table, uses: sql.script, with: {file: sql/table.sql}}
  - {name: load, uses: sql.copy, needs: [table], with: {table: thing, file: things.csv}}
  - {name: here, uses: process.run, with: {command: ["./say.sh"]}}
  - {name: below, uses: process.run, with: {command: ["../say.sh"], dir: sql}}
`)
	d.Dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(d.Dir, "sql"), 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.Dir, "sql", "table.sql"), "create table thing (id int)")
	write(t, filepath.Join(d.Dir, "things.csv"), "id\n1\n2\n")
	write(t, filepath.Join(d.Dir, "say.sh"), "#!/bin/sh\nprintf '\"%s\"' \"$(basename \"$(pwd)\")\"\n")
	if err := os.Chmod(filepath.Join(d.Dir, "say.sh"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	r, err := h.run(t, d, "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]string{
		"load": `{"batches":1,"rejected":0,"rows":2}`, "here": `"` + filepath.Base(d.Dir) + `"`, "below": `"sql"`,
	} {
		if got := output(t, r, step); got != want {
			t.Errorf("output of %s = %s, want %s", step, got, want)
		}
	}
}
