// Command gen writes what the project derives from pgerr/sqlstate.csv: the Go
// table that package pgerr looks codes up in, and the page that shows it to
// people. It runs in the directory of package pgerr, by go generate.
package main

import (
	"fmt"
	"os"
)

// The files, seen from the directory of package pgerr.
const (
	sourceFile = "sqlstate.csv"
	tableFile  = "table_gen.go"
	pageFile   = "../docs/sqlstate.md"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	source, err := os.ReadFile(sourceFile)
	if err != nil {
		return err
	}
	rows, err := parse(source)
	if err != nil {
		return err
	}
	table, err := renderTable(rows)
	if err != nil {
		return err
	}
	if err := os.WriteFile(tableFile, table, 0o644); err != nil { //nolint:gosec // generated source is as public as the rest of the repository
		return err
	}
	return os.WriteFile(pageFile, renderPage(rows), 0o644) //nolint:gosec // a page of the documentation
}
