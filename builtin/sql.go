package builtin

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// sql is the value of the component.
type sql struct{ db *perdurepgx.DB }

func sqlFactory(c Config) component.Factory {
	return component.Factory{
		Name: sqlName,
		Doc:  "SQL on the pipeline's database. What it writes happens exactly once.",
		Methods: []component.Callable{
			component.MethodOf("exec", (*sql).exec).With(component.Options{Doc: "One statement that writes."}),
			component.MethodOf("query", (*sql).query).With(component.Options{Doc: "A query, whose rows are the output."}),
			component.MethodOf("script", (*sql).script).With(component.Options{Doc: "Several statements, in one transaction."}),
			component.MethodOf("copy", (*sql).copy).With(component.Options{Doc: "Load a file of CSV or JSON lines into a table, in batches."}),
		},
		Maker: component.Make(func(context.Context, component.Deps, struct{}) (*sql, error) {
			if c.DB == nil {
				return nil, errors.New("no database was given")
			}
			return &sql{c.DB}, nil
		}),
	}
}

// op is the operation of the step: its name is the label of its metrics.
func op(ctx context.Context, method string) perdure.Op {
	name := method
	if step := pipeline.StepName(ctx); step != "" && len(step) < 90 {
		name = "step." + step
	}
	return pipeline.Op(ctx, perdure.Op{Name: name})
}

type execInput struct {
	SQL  string     `json:"sql" jsonschema:"one statement, with $1, $2, … for its parameters"`
	Args []argument `json:"args,omitempty" jsonschema:"the parameters: texts, numbers, booleans, null; lists for arrays; objects for JSON"`
}

type execOutput struct {
	Rows int64 `json:"rows" jsonschema:"how many rows it changed"`
}

func (s *sql) exec(ctx context.Context, in execInput) (execOutput, error) {
	return perdurepgx.Once(ctx, s.db, op(ctx, "sql.exec"), pipeline.Key(ctx, "exec"), func(ctx context.Context, tx pgx.Tx) (execOutput, error) {
		args, err := bind(ctx, tx, in.SQL, in.Args)
		if err != nil {
			return execOutput{}, err
		}
		tag, err := tx.Exec(ctx, in.SQL, args...)
		return execOutput{tag.RowsAffected()}, err
	})
}
