package flights

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pipeline"
)

var (
	opAirports = perdure.Op{Name: "flights.airports"}
	opLoad     = perdure.Op{Name: "flights.load"}
	opReject   = perdure.Op{Name: "flights.reject"}
)

const (
	insertAirports = `insert into airport (iata, name, city, state, country, latitude, longitude)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[])`

	insertFlights = `insert into flight (line, departure, delay_minutes, distance_miles, origin, destination)
select * from unnest($1::int[], $2::timestamp[], $3::int[], $4::int[], $5::text[], $6::text[])`

	countDepartures = `update airport set departures = departures + $2 where iata = $1`

	insertRejects = `insert into rejected_flight (line, reason, text)
select * from unnest($1::int[], $2::text[], $3::text[])`
)

func (s steps) airportBatches(context.Context, pipeline.Input) ([]pipeline.Item, error) {
	return batches("airports", len(s.Data.Airports), s.Batch)
}

func (s steps) flightBatches(context.Context, pipeline.Input) ([]pipeline.Item, error) {
	items, err := batches("flights", len(s.Data.Flights), s.Batch)
	if err != nil {
		return nil, err
	}
	rejects, err := batches("rejects", len(s.Data.Rejects), s.Batch)
	return append(items, rejects...), err
}

func (s steps) loadAirports(ctx context.Context, in pipeline.Input) (any, error) {
	var b batch
	if err := json.Unmarshal(in.Item, &b); err != nil {
		return nil, err
	}
	rows := s.Data.Airports[b.From:b.To]
	return s.Runner.Effect(ctx, opAirports, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
		tag, err := tx.Exec(ctx, insertAirports,
			column(rows, func(a Airport) string { return a.IATA }), column(rows, func(a Airport) string { return a.Name }),
			column(rows, func(a Airport) string { return a.City }), column(rows, func(a Airport) string { return a.State }),
			column(rows, func(a Airport) string { return a.Country }),
			column(rows, func(a Airport) float64 { return a.Latitude }), column(rows, func(a Airport) float64 { return a.Longitude }))
		return tag.RowsAffected(), err
	})
}

func (s steps) load(ctx context.Context, in pipeline.Input) (any, error) {
	var b batch
	if err := json.Unmarshal(in.Item, &b); err != nil {
		return nil, err
	}
	if b.List == "rejects" {
		return loadRejects(ctx, s.Runner, s.Data.Rejects[b.From:b.To])
	}
	return loadFlights(ctx, s.Runner, s.Data.Flights[b.From:b.To])
}

func loadFlights(ctx context.Context, r Runner, rows []Flight) (int64, error) {
	return r.Effect(ctx, opLoad, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
		tag, err := tx.Exec(ctx, insertFlights,
			column(rows, func(f Flight) int { return f.Line }), column(rows, func(f Flight) time.Time { return f.Departure }),
			column(rows, func(f Flight) int { return f.Delay }), column(rows, func(f Flight) int { return f.Distance }),
			column(rows, func(f Flight) string { return f.Origin }), column(rows, func(f Flight) string { return f.Destination }))
		if err != nil {
			return 0, err
		}
		return tag.RowsAffected(), departures(ctx, tx, rows)
	})
}

// departures adds the flights to the count of each origin, in the order of
// their codes: two batches that lock the same airports in the same order wait
// for each other, and never in a circle.
func departures(ctx context.Context, tx pgx.Tx, rows []Flight) error {
	origins := column(rows, func(f Flight) string { return f.Origin })
	slices.Sort(origins)
	var b pgx.Batch
	for len(origins) > 0 {
		n := 1
		for n < len(origins) && origins[n] == origins[0] {
			n++
		}
		b.Queue(countDepartures, origins[0], n)
		origins = origins[n:]
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("departures: %w", err)
	}
	return nil
}

func loadRejects(ctx context.Context, r Runner, rows []Reject) (int64, error) {
	return r.Effect(ctx, opReject, "insert", func(ctx context.Context, tx pgx.Tx) (int64, error) {
		tag, err := tx.Exec(ctx, insertRejects,
			column(rows, func(r Reject) int { return r.Line }), column(rows, func(r Reject) string { return r.Reason }),
			column(rows, func(r Reject) string { return r.Text }))
		return tag.RowsAffected(), err
	})
}

// column takes one field of each row.
func column[R, V any](rows []R, field func(R) V) []V {
	out := make([]V, len(rows))
	for i, r := range rows {
		out[i] = field(r)
	}
	return out
}
