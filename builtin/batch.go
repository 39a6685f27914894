package builtin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/pgerr"
)

// writeBatch copies the records into the table. If the server refuses one of
// them for what is in it, the batch is halved until that one is alone, in savepoints; the
// others stay.
func writeBatch(ctx context.Context, tx pgx.Tx, in copyInput, columns []string, batch []record) (copyOutput, error) {
	var good []*record
	for i := range batch {
		if batch[i].fault == "" {
			good = append(good, &batch[i])
		}
	}
	table := pgx.Identifier(strings.Split(in.Table, "."))
	rows, err := copyHalves(ctx, tx, copySQL(table, columns), good)
	if err != nil {
		return copyOutput{}, err
	}
	var lines []int
	var reasons, texts []string
	for i := range batch {
		if r := &batch[i]; r.fault != "" {
			lines, reasons, texts = append(lines, r.line), append(reasons, r.fault), append(texts, r.text)
		}
	}
	out := copyOutput{Rows: rows, Rejected: int64(len(lines))}
	if len(lines) == 0 {
		return out, nil
	}
	if in.Rejects == "" {
		return copyOutput{}, fmt.Errorf("%s: line %d: %s; name a table in rejects to keep such lines there", in.File, lines[0], reasons[0])
	}
	_, err = tx.Exec(ctx, "insert into "+pgx.Identifier(strings.Split(in.Rejects, ".")).Sanitize()+
		" (line, reason, text) select * from unnest($1::int[], $2::text[], $3::text[])", lines, reasons, texts)
	return out, err
}

func copySQL(table pgx.Identifier, columns []string) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = pgx.Identifier{c}.Sanitize()
	}
	return "copy " + table.Sanitize() + " (" + strings.Join(names, ", ") + ") from stdin (format csv, null '')"
}

func copyHalves(ctx context.Context, tx pgx.Tx, sql string, batch []*record) (int64, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	rows, err := copyOnce(ctx, tx, sql, batch)
	if err == nil {
		return rows, nil
	}
	reason, data := dataFault(err)
	if !data {
		return 0, err
	}
	if len(batch) == 1 {
		var text []byte
		for i, f := range batch[0].fields {
			if i > 0 {
				text = append(text, ',')
			}
			if f != nil {
				text = append(text, *f...)
			}
		}
		batch[0].reject(text, reason)
		return 0, nil
	}
	half := len(batch) / 2
	first, err := copyHalves(ctx, tx, sql, batch[:half])
	if err != nil {
		return 0, err
	}
	second, err := copyHalves(ctx, tx, sql, batch[half:])
	return first + second, err
}

// copyOnce copies the records in a savepoint, which is gone if that fails.
func copyOnce(ctx context.Context, tx pgx.Tx, sql string, batch []*record) (int64, error) {
	save, err := tx.Begin(ctx)
	if err != nil {
		return 0, err
	}
	tag, err := save.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(encodeCSV(batch)), sql)
	if err != nil {
		if _, data := dataFault(err); data {
			if undo := save.Rollback(ctx); undo != nil {
				return 0, undo
			}
		}
		return 0, err
	}
	return tag.RowsAffected(), save.Commit(ctx)
}

// dataFault reports whether the server refused what is in a row, and why.
func dataFault(err error) (reason string, data bool) {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return "", false
	}
	switch pgerr.Classify(err).Category {
	case pgerr.CategoryData, pgerr.CategoryConstraint:
		return e.Message + " (SQLSTATE " + e.Code + ")", true
	case pgerr.CategoryRaised: // by a trigger, for this row
		return e.Message + " (SQLSTATE " + e.Code + ")", e.Code == "P0001"
	default:
		return "", false
	}
}

func encodeCSV(batch []*record) []byte {
	var b bytes.Buffer
	for _, r := range batch {
		for i, f := range r.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			if f != nil {
				b.WriteByte('"')
				b.WriteString(strings.ReplaceAll(*f, `"`, `""`))
				b.WriteByte('"')
			}
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
