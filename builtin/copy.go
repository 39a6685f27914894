package builtin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

const (
	defaultBatch = 500
	maxBatch     = 100_000
	formatCSV    = "csv"
	formatJSONL  = "jsonl"
)

type copyInput struct {
	Table     string   `json:"table" jsonschema:"the table, perhaps with its schema"`
	File      string   `json:"file" jsonschema:"the file; a record is a line; a relative path starts at the pipeline's directory"`
	Format    string   `json:"format,omitempty" jsonschema:"csv or jsonl; the default is the file's extension"`
	Columns   []string `json:"columns,omitempty" jsonschema:"the table's columns; the default is the header of the CSV, or the keys of the first object"`
	Header    *bool    `json:"header,omitempty" jsonschema:"whether the first line of the CSV is one; default true"`
	Delimiter string   `json:"delimiter,omitempty" jsonschema:"of the CSV; default ,"`
	Null      string   `json:"null,omitempty" jsonschema:"what a field without quotes is that means NULL; default nothing at all"`
	Batch     int      `json:"batch,omitempty" jsonschema:"how many lines go into one transaction; default 500"`
	Rejects   string   `json:"rejects,omitempty" jsonschema:"a table (line int, reason text, text text) for lines that cannot be loaded; without it the first one fails the step"`
}

// Validate checks what the schema cannot.
func (in copyInput) Validate() error {
	switch {
	case in.Batch < 0 || in.Batch > maxBatch:
		return fmt.Errorf("batch: %d is not from 1 to %d", in.Batch, maxBatch)
	case len(in.Delimiter) > 1 || in.Delimiter == `"` || in.Delimiter == "\n":
		return fmt.Errorf("delimiter: %q is not one byte, or means something else", in.Delimiter)
	case in.format() != formatCSV && in.format() != formatJSONL:
		return fmt.Errorf("format: %q is neither csv nor jsonl", in.format())
	case in.Header != nil && !*in.Header && in.format() == formatCSV && len(in.Columns) == 0:
		return errors.New("columns: a CSV without a header needs them")
	}
	return nil
}

func (in copyInput) format() string {
	if in.Format != "" {
		return in.Format
	}
	switch ext := strings.ToLower(filepath.Ext(in.File)); ext {
	case ".jsonl", ".ndjson":
		return formatJSONL
	default:
		return strings.TrimPrefix(ext, ".")
	}
}

type copyOutput struct {
	Rows     int64 `json:"rows" jsonschema:"how many are in the table by this step"`
	Rejected int64 `json:"rejected"`
	Batches  int   `json:"batches"`
}

// source is the file as it was when the step began first.
type source struct {
	SHA256 string `json:"sha256"`
	Lines  int    `json:"lines"`
	Batch  int    `json:"batch"`
}

// copy loads the file batch by batch, each once by the number of its batch. The
// file must not change between two runs of the step: it is held to what it was.
func (s *sql) copy(ctx context.Context, in copyInput) (copyOutput, error) {
	if in.Batch == 0 {
		in.Batch = defaultBatch
	}
	f, err := os.Open(pipeline.Path(ctx, in.File))
	if err != nil {
		return copyOutput{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	now, err := measure(f, in.Batch)
	if err != nil {
		return copyOutput{}, fmt.Errorf("%s: %w", in.File, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return copyOutput{}, err
	}
	was, err := perdurepgx.Once(ctx, s.db, op(ctx, "sql.copy"), pipeline.Key(ctx, "copy-source"), func(context.Context, pgx.Tx) (source, error) {
		return now, nil
	})
	if err != nil {
		return copyOutput{}, err
	}
	if was != now {
		return copyOutput{}, fmt.Errorf("%s is not the file that this run began with: put that back, or begin another run", in.File)
	}
	l := loader{sql: s, in: in, total: now.Lines}
	err = eachLine(f, func(n int, text []byte, long bool) error { return l.take(ctx, n, text, long) })
	if err == nil {
		err = l.flush(ctx)
	}
	return l.out, err
}

func measure(f *os.File, batch int) (source, error) {
	sum := sha256.New()
	lines := 0
	err := eachLine(io.TeeReader(f, sum), func(int, []byte, bool) error { lines++; return nil })
	return source{hex.EncodeToString(sum.Sum(nil)), lines, batch}, err
}

// loader gathers records into batches.
type loader struct {
	*sql

	in      copyInput
	total   int
	columns []string
	batch   []record
	last    int // line
	out     copyOutput
}

func (l *loader) take(ctx context.Context, n int, text []byte, long bool) error {
	fault := badText(text, long)
	if l.columns == nil {
		header, err := l.head(text, fault)
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", l.in.File, n, err)
		}
		if header {
			return nil
		}
	}
	r := record{line: n}
	var err error
	switch {
	case fault != "":
		err = errors.New(fault)
	case l.in.format() == formatCSV:
		r.fields, err = splitCSV(string(text), l.delimiter(), l.in.Null)
		if err == nil && len(r.fields) != len(l.columns) {
			err = fmt.Errorf("%d columns, want %d", len(r.fields), len(l.columns))
		}
	default:
		r.fields, err = splitJSON(text, l.columns)
	}
	if err != nil {
		r.reject(text, err.Error())
	}
	l.batch, l.last = append(l.batch, r), n
	if len(l.batch) < l.in.Batch {
		return nil
	}
	return l.flush(ctx)
}

func (l *loader) delimiter() byte {
	if l.in.Delimiter == "" {
		return ','
	}
	return l.in.Delimiter[0]
}

// head learns the columns from the first line, and reports whether that is a
// header.
func (l *loader) head(text []byte, fault string) (header bool, err error) {
	l.columns = l.in.Columns
	if l.in.format() == formatJSONL {
		if len(l.columns) > 0 {
			return false, nil
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil || len(object) == 0 {
			return false, errors.New("is no JSON object, from which the columns could be known: name them in columns")
		}
		l.columns = slices.Sorted(maps.Keys(object))
		return false, nil
	}
	if l.in.Header != nil && !*l.in.Header {
		return false, nil
	}
	if fault != "" {
		return false, fmt.Errorf("is no header: %s", fault)
	}
	names, err := splitCSV(string(text), l.delimiter(), "")
	if err != nil {
		return false, fmt.Errorf("is no header: %w", err)
	}
	var got []string
	for _, n := range names {
		if n == nil {
			return false, errors.New("is no header: a column has no name")
		}
		got = append(got, strings.TrimSpace(*n))
	}
	if len(l.columns) > 0 && len(l.columns) != len(got) {
		return false, fmt.Errorf("the header has %d columns, want %d", len(got), len(l.columns))
	}
	if len(l.columns) == 0 {
		l.columns = got
	}
	return true, nil
}

// flush writes the batch, once.
func (l *loader) flush(ctx context.Context) error {
	if len(l.batch) == 0 {
		return nil
	}
	key := pipeline.Key(ctx, fmt.Sprintf("copy-%06d", l.out.Batches))
	done, err := perdurepgx.Once(ctx, l.db, op(ctx, "sql.copy"), key, func(ctx context.Context, tx pgx.Tx) (copyOutput, error) {
		return writeBatch(ctx, tx, l.in, l.columns, slices.Clone(l.batch))
	})
	if err != nil {
		return err
	}
	l.out.Rows += done.Rows
	l.out.Rejected += done.Rejected
	l.out.Batches++
	l.batch = l.batch[:0]
	pipeline.Progress(ctx, l.last, l.total)
	return nil
}
