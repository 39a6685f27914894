package flights

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pipeline"
)

//go:embed features.sql
var featuresSQL string

var (
	opFeatures = perdure.Op{Name: "flights.features"}
	opTrain    = perdure.Op{Name: "flights.train", ReadOnly: true}
	opEvaluate = perdure.Op{Name: "flights.evaluate", ReadOnly: true}
	opRegister = perdure.Op{Name: "flights.register"}
	opPredict  = perdure.Op{Name: "flights.predict"}
)

const (
	selectRows = `select line, late, hour, weekday, distance, recent, origin, destination, route from feature `

	insertModel = `insert into model (name, digest, description) values ('delayed', $1, $2)`

	insertPredictions = `insert into prediction (line, probability) select * from unnest($1::int[], $2::float8[])`
)

func (s steps) features(ctx context.Context, _ pipeline.Input) (any, error) {
	return s.Runner.Effect(ctx, opFeatures, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
		tag, err := tx.Exec(ctx, featuresSQL)
		return tag.RowsAffected(), err
	})
}

// selection reads features in the order of their lines; the id decides only
// between rows that should not both be there.
func selection(ctx context.Context, q Querier, where string, args ...any) ([]Row, error) {
	rows, err := q.Query(ctx, selectRows+where+" order by line, id", args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Row, err error) {
		err = row.Scan(&r.Line, &r.Late, &r.Hour, &r.Weekday, &r.Distance, &r.Recent, &r.Origin, &r.Destination, &r.Route)
		return r, err
	})
}

func read(ctx context.Context, r Runner, op perdure.Op, where string, args ...any) (rows []Row, err error) {
	err = r.Read(ctx, op, func(ctx context.Context, q Querier) error {
		rows, err = selection(ctx, q, where, args...)
		return err
	})
	return rows, err
}

// trained is the output of the step train.
type trained struct {
	Model *Model  `json:"model"`
	Base  float64 `json:"base"` // share of late flights in training
}

func (s steps) train(ctx context.Context, _ pipeline.Input) (any, error) {
	return train(ctx, s.Runner, s.Params().Split)
}

func train(ctx context.Context, r Runner, before string) (trained, error) {
	rows, err := read(ctx, r, opTrain, "where day < $1::text::date", before)
	if err != nil {
		return trained{}, err
	}
	m, err := Train(rows, before)
	if err != nil {
		return trained{}, err
	}
	late := 0
	for _, r := range rows {
		if r.Late {
			late++
		}
	}
	return trained{Model: m, Base: round(float64(late) / float64(len(rows)))}, nil
}

// evaluated is the output of the step evaluate, and what is registered.
type evaluated struct {
	Model   *Model   `json:"model"`
	Metrics *Metrics `json:"metrics"`
}

func (s steps) evaluate(ctx context.Context, in pipeline.Input) (any, error) {
	var t trained
	if err := in.Output("train", &t); err != nil {
		return nil, err
	}
	return evaluate(ctx, s.Runner, t)
}

func evaluate(ctx context.Context, r Runner, t trained) (evaluated, error) {
	if err := t.Model.check(); err != nil {
		return evaluated{}, err
	}
	rows, err := read(ctx, r, opEvaluate, "where day >= $1::text::date", t.Model.Before)
	if err != nil {
		return evaluated{}, err
	}
	m, err := Evaluate(column(rows, func(r Row) bool { return r.Late }), column(rows, t.Model.Predict), t.Base)
	if err != nil {
		return evaluated{}, err
	}
	return evaluated{Model: t.Model, Metrics: m}, nil
}

// registered is the output of the step register.
type registered struct {
	Digest string `json:"digest"`
}

func (s steps) register(ctx context.Context, in pipeline.Input) (any, error) {
	var e evaluated
	if err := in.Output("evaluate", &e); err != nil {
		return nil, err
	}
	return register(ctx, s.Runner, e)
}

func register(ctx context.Context, r Runner, e evaluated) (registered, error) {
	description, err := json.Marshal(e)
	if err != nil {
		return registered{}, err
	}
	sum := sha256.Sum256(description)
	digest := hex.EncodeToString(sum[:])
	_, err = r.Effect(ctx, opRegister, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
		tag, err := tx.Exec(ctx, insertModel, digest, string(description))
		return tag.RowsAffected(), err
	})
	return registered{Digest: digest}, err
}

func (s steps) predictBatches(context.Context, pipeline.Input) ([]pipeline.Item, error) {
	return batches("flights", len(s.Data.Flights), s.PredictBatch)
}

func (s steps) predict(ctx context.Context, in pipeline.Input) (any, error) {
	var (
		b batch
		t trained
	)
	if err := json.Unmarshal(in.Item, &b); err != nil {
		return nil, err
	}
	if err := in.Output("train", &t); err != nil {
		return nil, err
	}
	return predict(ctx, s.Runner, t.Model, s.Data.Flights[b.From:b.To])
}

// predict stores a prediction for each of the flights, which follow each other in
// the file.
func predict(ctx context.Context, r Runner, m *Model, flights []Flight) (int64, error) {
	if err := m.check(); err != nil {
		return 0, err
	}
	first, last := flights[0].Line, flights[len(flights)-1].Line
	return r.Effect(ctx, opPredict, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
		rows, err := selection(ctx, tx, "where line between $1 and $2", first, last)
		if err != nil {
			return 0, fmt.Errorf("features: %w", err)
		}
		tag, err := tx.Exec(ctx, insertPredictions,
			column(rows, func(r Row) int { return r.Line }), column(rows, m.Predict))
		return tag.RowsAffected(), err
	})
}
