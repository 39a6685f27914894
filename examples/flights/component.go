package flights

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

// Factory returns the component "flights", whose methods pipeline.yaml uses for
// what is not SQL. They do what the steps of [Pipeline] do, with the same transactions. A nil db
// is enough to describe the component; it cannot be started.
func Factory(db *perdurepgx.DB) component.Factory {
	return component.Factory{
		Name: "flights",
		Doc:  "Loads flights from a file, learns which ones will be late, and predicts.",
		Methods: []component.Callable{
			component.MethodOf("read", (*flights).read).With(component.Options{Doc: "Reads the file and lists the batches that it is loaded in."}),
			component.MethodOf("load", (*flights).load).With(component.Options{Doc: "Loads a batch of flights, and counts their departures."}),
			component.MethodOf("reject", (*flights).reject).With(component.Options{Doc: "Keeps a batch of lines that are no flights, with the reasons."}),
			component.MethodOf("train", (*flights).train).With(component.Options{Doc: "Fits a logistic regression to the features of earlier days."}),
			component.MethodOf("evaluate", (*flights).evaluate).With(component.Options{Doc: "Measures the model on days that it never saw."}),
			component.MethodOf("register", (*flights).register).With(component.Options{Doc: "Stores the model with its metrics."}),
			component.MethodOf("predict", (*flights).predict).With(component.Options{Doc: "Stores a prediction for each flight of a batch."}),
		},
		Maker: component.Make(func(context.Context, component.Deps, struct{}) (*flights, error) {
			if db == nil {
				return nil, errors.New("no database was given")
			}
			return &flights{db: db, runner: Guarded{DB: db}}, nil
		}),
	}
}

// flights is the value of the component.
type flights struct {
	db     *perdurepgx.DB
	runner Runner

	mu   sync.Mutex // guards the fields below, and is held while a file is read
	file string     // that data is of
	data *Data
}

var opRead = perdure.Op{Name: "flights.read"}

type readInput struct {
	File         string `json:"file" jsonschema:"flights in the shape of data/flights.csv; a relative path starts at the pipeline's directory"`
	Batch        int    `json:"batch" jsonschema:"how many rows go into one transaction"`
	PredictBatch int    `json:"predict_batch" jsonschema:"how many predictions go into one transaction"`
}

// Validate checks what the schema cannot.
func (in readInput) Validate() error {
	if in.Batch < 1 || in.PredictBatch < 1 {
		return errors.New("batch and predict_batch: want at least 1")
	}
	return nil
}

// contents is the output of read: what is in the file, and where each batch of
// it begins.
type contents struct {
	SHA256  string `json:"sha256"`
	Flights int    `json:"flights"`
	Split   string `json:"split" jsonschema:"the first day of the last month: what is earlier trains the model"`
	Load    []int  `json:"load" jsonschema:"the first flight of each batch"`
	Reject  []int  `json:"reject" jsonschema:"the first rejected line of each batch"`
	Predict []int  `json:"predict" jsonschema:"the first flight of each batch to predict"`
}

// read keeps what it found under the key of its step: the rest of a run, and the
// same run begun again, work on this file or not at all.
func (f *flights) read(ctx context.Context, in readInput) (contents, error) {
	d, err := f.open(ctx, in.File, "")
	if err != nil {
		return contents{}, err
	}
	now := contents{
		SHA256: d.SHA256, Flights: len(d.Flights), Split: d.Split().Format(time.DateOnly),
		Load: starts(len(d.Flights), in.Batch), Reject: starts(len(d.Rejects), in.Batch), Predict: starts(len(d.Flights), in.PredictBatch),
	}
	was, err := perdurepgx.Once(ctx, f.db, pipeline.Op(ctx, opRead), pipeline.Key(ctx, "read"), func(context.Context, pgx.Tx) (contents, error) {
		return now, nil
	})
	if err != nil {
		return contents{}, err
	}
	if was.SHA256 != now.SHA256 || !slices.Equal(was.Load, now.Load) || !slices.Equal(was.Predict, now.Predict) {
		return contents{}, otherFileError(in.File)
	}
	return was, nil
}

func otherFileError(file string) error {
	return fmt.Errorf("%s is not the file that this run began with, or is cut into other batches: put that back, or begin another run", file)
}

// starts cuts n rows into batches and returns the first of each.
func starts(n, size int) []int {
	out := make([]int, 0, n/size+1)
	for from := 0; from < n; from += size {
		out = append(out, from)
	}
	return out
}

// open returns what is in a file, which must have that digest unless it is empty.
// The file that was read last is kept: each batch asks for it.
func (f *flights) open(ctx context.Context, name, sha256 string) (*Data, error) {
	name = pipeline.Path(ctx, name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.data != nil && f.file == name && f.data.SHA256 == sha256 {
		return f.data, nil
	}
	file, err := os.Open(name) //nolint:gosec // the pipeline names its file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	d, err := Read(name, file)
	if err != nil {
		return nil, err
	}
	if sha256 != "" && d.SHA256 != sha256 {
		return nil, otherFileError(name)
	}
	f.file, f.data = name, d
	return d, nil
}

// batchInput names a batch of a file.
type batchInput struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256" jsonschema:"of the file, as read says"`
	From   int    `json:"from" jsonschema:"the first of the batch, counted from 0"`
	Count  int    `json:"count" jsonschema:"the most that are in it"`
}

// Validate checks what the schema cannot.
func (in batchInput) Validate() error {
	if in.From < 0 || in.Count < 1 {
		return errors.New("from and count: want at least 0 and 1")
	}
	return nil
}

// of cuts the batch out of rows.
func of[R any](in batchInput, rows []R) ([]R, error) {
	if in.From >= len(rows) {
		return nil, fmt.Errorf("from: there are %d", len(rows))
	}
	return rows[in.From:min(in.From+in.Count, len(rows))], nil
}

func (f *flights) load(ctx context.Context, in batchInput) (int64, error) {
	d, err := f.open(ctx, in.File, in.SHA256)
	if err != nil {
		return 0, err
	}
	rows, err := of(in, d.Flights)
	if err != nil {
		return 0, err
	}
	return loadFlights(ctx, f.runner, rows)
}

func (f *flights) reject(ctx context.Context, in batchInput) (int64, error) {
	d, err := f.open(ctx, in.File, in.SHA256)
	if err != nil {
		return 0, err
	}
	rows, err := of(in, d.Rejects)
	if err != nil {
		return 0, err
	}
	return loadRejects(ctx, f.runner, rows)
}

type trainInput struct {
	Before string `json:"before" jsonschema:"the first day, YYYY-MM-DD, that the model does not see"`
}

func (f *flights) train(ctx context.Context, in trainInput) (trained, error) {
	return train(ctx, f.runner, in.Before)
}

func (f *flights) evaluate(ctx context.Context, in trained) (evaluated, error) {
	return evaluate(ctx, f.runner, in)
}

func (f *flights) register(ctx context.Context, in evaluated) (registered, error) {
	return register(ctx, f.runner, in)
}

type predictInput struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256" jsonschema:"of the file, as read says"`
	From   int    `json:"from" jsonschema:"the first of the batch, counted from 0"`
	Count  int    `json:"count" jsonschema:"the most that are in it"`
	Model  *Model `json:"model"`
}

func (in predictInput) batch() batchInput {
	return batchInput{File: in.File, SHA256: in.SHA256, From: in.From, Count: in.Count}
}

// Validate checks what the schema cannot.
func (in predictInput) Validate() error {
	return errors.Join(in.batch().Validate(), in.Model.check())
}

func (f *flights) predict(ctx context.Context, in predictInput) (int64, error) {
	d, err := f.open(ctx, in.File, in.SHA256)
	if err != nil {
		return 0, err
	}
	rows, err := of(in.batch(), d.Flights)
	if err != nil {
		return 0, err
	}
	return predict(ctx, f.runner, in.Model, rows)
}
