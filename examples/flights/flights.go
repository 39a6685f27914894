// Package flights is the main example: 20,000 real flights are loaded into
// PostgreSQL, features are built from them in SQL, a logistic regression learns
// which ones will be more than 15 minutes late, and its model, its metrics on
// flights that it never saw, and a prediction for each flight are stored.
//
// The same input gives the same bits, always: whatever the parallelism, the
// order in which batches end, or what happens to the database on the way. The
// result is known by [Audit], which counts every row against the input and
// digests all of it.
package flights

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pipeline"
)

// Runner runs the transactions of the pipeline. [Guarded] is perdure's; the
// demo compares it with how most programs do it.
type Runner interface {
	// Effect runs fn in a transaction and returns what it returned, a number of
	// rows. name tells the effects of one task apart.
	Effect(ctx context.Context, op perdure.Op, name string, fn Transaction) (int64, error)
	// Read runs fn, which only reads.
	Read(ctx context.Context, op perdure.Op, fn func(ctx context.Context, q Querier) error) error
}

// Querier is what reading needs: a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Transaction is the work of a transaction. It may be run again, after a
// rollback.
type Transaction func(ctx context.Context, tx pgx.Tx) (int64, error)

// Config says how to run the pipeline. The zero value of a number is its default.
type Config struct {
	Data   *Data
	Runner Runner
	// Batch is how many rows of a file go into one transaction. Zero means 100.
	Batch int
	// PredictBatch is how many predictions go into one transaction. Zero means 50.
	PredictBatch int
	// Parallel is the most transactions at once. Zero means 8.
	Parallel int
}

// Params are the parameters of a run, frozen with its plan: the input by its
// digest, and all that keys depend on.
type Params struct {
	Flights      string `json:"flights"`
	SHA256       string `json:"sha256"`
	Split        string `json:"split"`
	Batch        int    `json:"batch"`
	PredictBatch int    `json:"predict_batch"`
}

// Params returns the parameters of a run of this configuration.
func (c Config) Params() Params {
	c = c.withDefaults()
	return Params{
		Flights: c.Data.Source, SHA256: c.Data.SHA256, Split: c.Data.Split().Format("2006-01-02"),
		Batch: c.Batch, PredictBatch: c.PredictBatch,
	}
}

func (c Config) withDefaults() Config {
	if c.Batch == 0 {
		c.Batch = 100
	}
	if c.PredictBatch == 0 {
		c.PredictBatch = 50
	}
	if c.Parallel == 0 {
		c.Parallel = 8
	}
	return c
}

// attempts is how often the engine runs a task whose error says that another
// try makes sense: it waits in between, and holds nothing.
const attempts = 20

// Pipeline returns the definition: airports → load → features → train →
// evaluate → register, and predict beside evaluate.
func Pipeline(c Config) pipeline.Definition {
	s := steps{Config: c.withDefaults()}
	return pipeline.Definition{
		Name:     "flights",
		Parallel: s.Parallel,
		Steps: []pipeline.Step{
			{Name: "airports", Items: s.airportBatches, Do: s.loadAirports, Attempts: attempts},
			{Name: "load", Needs: []string{"airports"}, Items: s.flightBatches, Do: s.load, Attempts: attempts},
			{Name: "features", Needs: []string{"load"}, Do: s.features, Attempts: attempts},
			{Name: "train", Needs: []string{"features"}, Do: s.train, Attempts: attempts},
			{Name: "evaluate", Needs: []string{"train"}, Do: s.evaluate, Attempts: attempts},
			{Name: "register", Needs: []string{"evaluate"}, Do: s.register, Attempts: attempts},
			{Name: "predict", Needs: []string{"train"}, Items: s.predictBatches, Do: s.predict, Attempts: attempts},
		},
	}
}

// steps holds what the functions of the steps share.
type steps struct{ Config }

// batch is the value of an item: rows from From up to To of a list.
type batch struct {
	List string `json:"list"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// batches cuts n rows of a list into items.
func batches(list string, n, size int) ([]pipeline.Item, error) {
	items := make([]pipeline.Item, 0, n/size+1)
	for from := 0; from < n; from += size {
		item, err := pipeline.NewItem(fmt.Sprintf("%s-%06d", list, from), batch{List: list, From: from, To: min(from+size, n)})
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

//go:embed schema.sql
var schemaSQL string

// Schema returns the SQL that creates the tables, if they are not there.
func Schema() string { return schemaSQL }

// Tasks returns how many tasks a run has: the batches, and the four steps
// without any.
func (c Config) Tasks() int {
	c = c.withDefaults()
	n := func(rows, size int) int { return (rows + size - 1) / size }
	return n(len(c.Data.Airports), c.Batch) + n(len(c.Data.Flights), c.Batch) + n(len(c.Data.Rejects), c.Batch) +
		n(len(c.Data.Flights), c.PredictBatch) + 4
}

// TasksOfYAML is Tasks for pipeline.yaml, which has seven steps without batches. A
// step that has none to do counts as one.
func (c Config) TasksOfYAML() int {
	c = c.withDefaults()
	n := func(rows, size int) int { return max(1, (rows+size-1)/size) }
	return n(len(c.Data.Flights), c.Batch) + n(len(c.Data.Rejects), c.Batch) + n(len(c.Data.Flights), c.PredictBatch) + 7
}

// LocksAgainstTheOrder returns two statements that take locks which the step
// load takes, in the opposite order: what an ill-behaved neighbour would do. They
// lock the busiest airport so far of either half of the alphabet, which most
// batches touch.
func LocksAgainstTheOrder() [2]string {
	const lock = "select from airport where id = (select id from airport where iata %s 'M' order by departures desc, id limit 1) for update"
	return [2]string{fmt.Sprintf(lock, ">="), fmt.Sprintf(lock, "<")}
}
