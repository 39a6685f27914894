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

func (s steps) read(ctx context.Context, op perdure.Op, where string, args ...any) (rows []Row, err error) {
	err = s.Runner.Read(ctx, op, func(ctx context.Context, q Querier) error {
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
	split := s.Params().Split
	rows, err := s.read(ctx, opTrain, "where day < $1::text::date", split)
	if err != nil {
		return nil, err
	}
	m, err := Train(rows, split)
	if err != nil {
		return nil, err
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
	if err := t.Model.check(); err != nil {
		return nil, err
	}
	rows, err := s.read(ctx, opEvaluate, "where day >= $1::text::date", t.Model.Before)
	if err != nil {
		return nil, err
	}
	m, err := Evaluate(column(rows, func(r Row) bool { return r.Late }), column(rows, t.Model.Predict), t.Base)
	if err != nil {
		return nil, err
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
	description, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(description)
	digest := hex.EncodeToString(sum[:])
	_, err = s.Runner.Effect(ctx, opRegister, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
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
	if err := t.Model.check(); err != nil {
		return nil, err
	}
	first, last := s.Data.Flights[b.From].Line, s.Data.Flights[b.To-1].Line
	return s.Runner.Effect(ctx, opPredict, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
		rows, err := selection(ctx, tx, "where line between $1 and $2", first, last)
		if err != nil {
			return 0, fmt.Errorf("features: %w", err)
		}
		tag, err := tx.Exec(ctx, insertPredictions,
			column(rows, func(r Row) int { return r.Line }), column(rows, t.Model.Predict))
		return tag.RowsAffected(), err
	})
}
