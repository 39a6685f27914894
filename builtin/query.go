package builtin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/perdure/perdure/pipeline"
)

type queryOutput struct {
	Rows  []map[string]json.RawMessage `json:"rows" jsonschema:"each row by the names of its columns"`
	Count int                          `json:"count"`
}

// query reads in a READ ONLY transaction, so that it may be repeated.
func (s *sql) query(ctx context.Context, in execInput) (queryOutput, error) {
	o := op(ctx, "sql.query")
	o.ReadOnly = true
	var out queryOutput
	err := s.db.InTx(ctx, o, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		args, err := bind(ctx, tx, in.SQL, in.Args)
		if err != nil {
			return err
		}
		out, err = readRows(ctx, tx, in.SQL, args)
		return err
	})
	return out, err
}

func readRows(ctx context.Context, tx pgx.Tx, sql string, args []any) (queryOutput, error) {
	// As text: what PostgreSQL writes is what the output says, for every type.
	rows, err := tx.Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, args...)...)
	if err != nil {
		return queryOutput{}, err
	}
	defer rows.Close()
	out := queryOutput{Rows: []map[string]json.RawMessage{}}
	size := 0
	for rows.Next() {
		fields, raw := rows.FieldDescriptions(), rows.RawValues()
		row := make(map[string]json.RawMessage, len(fields))
		for i, f := range fields {
			if _, twice := row[f.Name]; twice {
				return queryOutput{}, fmt.Errorf("two columns are named %q: name them with as", f.Name)
			}
			value, err := jsonOf(f.DataTypeOID, raw[i])
			if err != nil {
				return queryOutput{}, err
			}
			row[f.Name] = value
			size += len(f.Name) + len(value) + len(`"":,`)
		}
		if size > pipeline.MaxOutput {
			return queryOutput{}, fmt.Errorf("the rows are more than %d bytes of JSON: write them into a table with sql.exec, or select less", pipeline.MaxOutput)
		}
		out.Rows = append(out.Rows, row)
	}
	out.Count = len(out.Rows)
	return out, rows.Err()
}

// jsonOf returns a value, which the server wrote as text, as JSON. Numbers stay
// numbers with all their digits; what JSON has no type for is a text.
func jsonOf(oid uint32, text []byte) (json.RawMessage, error) {
	if text == nil {
		return json.RawMessage("null"), nil
	}
	switch oid {
	case pgtype.BoolOID:
		if string(text) == "t" {
			return json.RawMessage("true"), nil
		}
		return json.RawMessage("false"), nil
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID, pgtype.OIDOID,
		pgtype.JSONOID, pgtype.JSONBOID:
		if json.Valid(text) { // not NaN
			return append(json.RawMessage(nil), text...), nil
		}
	}
	return json.Marshal(string(text))
}
