package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommittedFilesAreWhatTheGeneratorMakes(t *testing.T) {
	t.Chdir("../..")
	source, err := os.ReadFile(sourceFile)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parse(source)
	if err != nil {
		t.Fatal(err)
	}
	table, err := renderTable(rows)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{tableFile: string(table), pageFile: string(renderPage(rows))} {
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is stale, run go generate ./pgerr (-want +got):\n%s", file, diff)
		}
	}
}

func TestRunWritesBothFiles(t *testing.T) {
	source, err := os.ReadFile("../../" + sourceFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, sub := range []string{"/pgerr", "/docs"} {
		if err := os.Mkdir(dir+sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir + "/pgerr")
	if err := run(); err == nil {
		t.Error("run without a CSV succeeded")
	}
	if err := os.WriteFile(sourceFile, source, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{tableFile, pageFile} {
		if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "40001") {
			t.Errorf("%s: error %v, or no line for 40001", file, err)
		}
	}
}

func TestParseNamesEachFault(t *testing.T) {
	head := strings.Join(header(), ",") + "\n"
	good := "40001,serialization_failure,transient,medium,transaction,no,none,yes,why\n"
	tests := []struct{ name, csv, want string }{
		{"empty file", "", "EOF"},
		{"wrong header", "a,b\n", "line 1: header"},
		{"a column too few", head + "40001,x\n", "wrong number of fields"},
		{"lower-case code", head + strings.Replace(good, "40001", "4000a", 1), `line 2: sqlstate: "4000a"`},
		{"short code", head + strings.Replace(good, "40001", "4000", 1), `line 2: sqlstate: "4000"`},
		{"same code twice", head + good + good, "line 3: sqlstate"},
		{"unknown category", head + strings.Replace(good, "transient", "odd", 1), `line 2: category: unknown value "odd"`},
		{"unknown retry", head + strings.Replace(good, "transaction", "odd", 1), `line 2: retry: unknown value "odd"`},
		{"no reason", head + strings.Replace(good, "why", "", 1), "line 2: condition and why"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse([]byte(tt.csv))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parse = %v, want an error with %q", err, tt.want)
			}
		})
	}
}
