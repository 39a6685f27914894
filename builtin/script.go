package builtin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// maxScript is the most bytes of a script.
const maxScript = 1 << 20

type scriptInput struct {
	SQL         string `json:"sql,omitempty" jsonschema:"the statements, with ; in between"`
	File        string `json:"file,omitempty" jsonschema:"a file of them, instead of sql; a relative path starts at the pipeline's directory"`
	Transaction *bool  `json:"transaction,omitempty" jsonschema:"false runs each statement by itself, for what cannot be in a transaction; it needs idempotent"`
	Idempotent  bool   `json:"idempotent,omitempty" jsonschema:"running any of it twice is the same as running it once"`
}

// Validate makes sure that a script which may be run twice says so.
func (in scriptInput) Validate() error {
	if (in.SQL == "") == (in.File == "") {
		return errors.New("want either sql or file")
	}
	if in.Transaction != nil && !*in.Transaction && !in.Idempotent {
		return errors.New("transaction: false needs idempotent: true, since a statement whose reply is lost is sent again")
	}
	return nil
}

type scriptOutput struct {
	Statements int   `json:"statements"`
	Rows       int64 `json:"rows" jsonschema:"how many rows they changed"`
}

func (s *sql) script(ctx context.Context, in scriptInput) (scriptOutput, error) {
	text := in.SQL
	if in.File != "" {
		file := pipeline.Path(ctx, in.File)
		info, err := os.Stat(file)
		if err == nil && info.Size() > maxScript {
			err = fmt.Errorf("%s: %d bytes are more than %d", in.File, info.Size(), maxScript)
		}
		if err != nil {
			return scriptOutput{}, err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return scriptOutput{}, err
		}
		text = string(b)
	}
	list, err := statements(text)
	if err != nil {
		return scriptOutput{}, err
	}
	if in.Transaction != nil && !*in.Transaction {
		return s.each(ctx, list)
	}
	return perdurepgx.Once(ctx, s.db, op(ctx, "sql.script"), pipeline.Key(ctx, "script"), func(ctx context.Context, tx pgx.Tx) (scriptOutput, error) {
		out := scriptOutput{}
		for _, st := range list {
			tag, err := tx.Exec(ctx, st.text)
			if err != nil {
				return scriptOutput{}, fmt.Errorf("statement %d, line %d: %w", out.Statements+1, st.line, err)
			}
			out.Statements++
			out.Rows += tag.RowsAffected()
		}
		return out, nil
	})
}

// each runs the statements one by one, outside any transaction of ours.
func (s *sql) each(ctx context.Context, list []statement) (scriptOutput, error) {
	o := op(ctx, "sql.script")
	o.Idempotent = true
	out := scriptOutput{}
	for i, st := range list {
		tag, err := s.db.Exec(perdure.WithOp(ctx, o), st.text)
		if err != nil {
			return out, fmt.Errorf("statement %d, line %d: %w", i+1, st.line, err)
		}
		out.Statements++
		out.Rows += tag.RowsAffected()
		pipeline.Progress(ctx, i+1, len(list))
	}
	return out, nil
}

// statement is one of a script.
type statement struct {
	text string
	line int
}

// statements splits a script. What would end the transaction that it runs in,
// or wants more than SQL, is refused.
func statements(text string) ([]statement, error) {
	var out []statement
	for _, s := range splitSQL(text) {
		word := strings.ToLower(firstWord(s.text))
		switch word {
		case "":
			continue
		case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release":
			return nil, fmt.Errorf("line %d: %s is not for scripts: the script is in one transaction", s.line, strings.ToUpper(word))
		case "prepare":
			if strings.EqualFold(secondWord(s.text), "transaction") {
				return nil, fmt.Errorf("line %d: PREPARE TRANSACTION is not for scripts", s.line)
			}
		}
		if strings.HasPrefix(word, `\`) {
			return nil, fmt.Errorf("line %d: %s is a command of psql, not SQL", s.line, word)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("the script has no statement")
	}
	return out, nil
}
