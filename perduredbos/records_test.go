package perduredbos_test

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/perdure/perdure/pipeline"
)

// sqlite opens the file of the runs, as DBOS made it.
func sqlite(tb testing.TB, dir string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "runs.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// batch is what one step of DBOS stored.
type batch struct {
	step    int
	records []pipeline.Record
}

// stored returns what is recorded of a try, in its order. A database without tables has none.
func stored(tb testing.TB, db *sql.DB, id string) (out []batch) {
	tb.Helper()
	var tables int
	if err := db.QueryRow("select count(*) from sqlite_master where name = 'operation_outputs'").Scan(&tables); err != nil || tables == 0 {
		return nil
	}
	rows, err := db.Query("select function_id, output from operation_outputs where workflow_uuid = ? and function_name = 'next' order by function_id", id)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b batch
		var text sql.NullString
		if err := rows.Scan(&b.step, &text); err != nil {
			tb.Fatal(err)
		}
		if raw, err := base64.StdEncoding.DecodeString(text.String); err == nil && len(raw) > 0 {
			if err := json.Unmarshal(raw, &b.records); err != nil {
				tb.Fatal(err)
			}
		}
		out = append(out, b)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return out
}

func count(batches []batch) (n int) {
	for _, b := range batches {
		n += len(b.records)
	}
	return n
}
