package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// argument is a parameter of a statement, as JSON.
type argument = json.RawMessage

// bind returns the parameters as the server reads them: as texts, whose types
// are those that it infers. A list is an array where the server wants one, else JSON.
func bind(ctx context.Context, tx pgx.Tx, sql string, args []argument) ([]any, error) {
	out := make([]any, len(args))
	var types []uint32 // asked for when they are needed
	for i, raw := range args {
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 {
			continue
		}
		switch raw[0] {
		case 'n':
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return nil, err
			}
			out[i] = s
		case '[':
			if types == nil {
				d, err := tx.Prepare(ctx, "", sql)
				if err != nil {
					return nil, err
				}
				types = d.ParamOIDs
			}
			out[i] = string(raw)
			if i < len(types) && isArray(tx.Conn().TypeMap(), types[i]) {
				text, err := arrayText(raw)
				if err != nil {
					return nil, fmt.Errorf("args[%d]: %w", i, err)
				}
				out[i] = text
			}
		default:
			out[i] = string(raw)
		}
	}
	return out, nil
}

func isArray(m *pgtype.Map, oid uint32) bool {
	t, ok := m.TypeForOID(oid)
	if !ok {
		return false
	}
	_, ok = t.Codec.(*pgtype.ArrayCodec)
	return ok
}

// arrayText writes a JSON list as PostgreSQL writes an array.
func arrayText(raw json.RawMessage) (string, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		switch e = bytes.TrimSpace(e); e[0] {
		case 'n':
			b.WriteString("NULL")
		case '[':
			inner, err := arrayText(e)
			if err != nil {
				return "", err
			}
			b.WriteString(inner)
		default:
			text := string(e)
			if e[0] == '"' {
				if err := json.Unmarshal(e, &text); err != nil {
					return "", err
				}
			}
			b.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`)
		}
	}
	b.WriteByte('}')
	return b.String(), nil
}
