package flights

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Result is what a run left in the database, counted against its input.
type Result struct {
	// Digest is the SHA-256 over every value of every table in the order of the
	// keys, surrogate keys apart: model, metrics, features and predictions
	// included. Equal digests mean the same bits.
	Digest   string  `json:"digest"`
	Expected int64   `json:"rows_expected"`
	Lost     int64   `json:"lost"`
	Doubled  int64   `json:"doubled"`
	Tables   []Table `json:"tables"`
}

// Table is one table in a Result.
type Table struct {
	Name     string `json:"name"`
	Expected int64  `json:"expected"`
	Found    int64  `json:"found"`
	Lost     int64  `json:"lost"`    // expected keys that have no row
	Doubled  int64  `json:"doubled"` // rows beyond the first of their key, or of no expected key
}

// Intact reports whether every expected row is there once.
func (r Result) Intact() bool { return r.Lost == 0 && r.Doubled == 0 && r.Expected > 0 }

// tableSpec is how a table is read: the key that identifies a row, as text and
// as it is ordered by, and the columns to digest.
type tableSpec struct{ name, key, order, columns string }

func tableSpecs() []tableSpec {
	return []tableSpec{
		{"airport", "iata", `iata collate "C"`, "iata, name, city, state, country, latitude, longitude, departures"},
		{"flight", "line::text", "line", "line, departure, delay_minutes, distance_miles, origin, destination"},
		{"rejected_flight", "line::text", "line", "line, reason, text"},
		{"feature", "line::text", "line", "line, day, late, hour, weekday, distance, recent, origin, destination, route"},
		{"model", "name", "name", "name, digest, description::text"},
		{"prediction", "line::text", "line", "line, probability"},
	}
}

// Audit counts each row against the input by its key, and digests all tables.
// The departures that were counted in airports are compared too: they are the
// effect of updates, which nothing would show if one was lost and one doubled.
func Audit(ctx context.Context, conn *pgx.Conn, d *Data) (Result, error) {
	var (
		r   Result
		sum = sha256.New()
	)
	for _, spec := range tableSpecs() {
		t, err := count(ctx, conn, spec, expectedKeys(d, spec.name))
		if err != nil {
			return Result{}, fmt.Errorf("audit %s: %w", spec.name, err)
		}
		r.Expected, r.Lost, r.Doubled = r.Expected+t.Expected, r.Lost+t.Lost, r.Doubled+t.Doubled
		r.Tables = append(r.Tables, t)
		if err := digest(ctx, conn, spec, sum); err != nil {
			return Result{}, fmt.Errorf("digest %s: %w", spec.name, err)
		}
	}
	t, err := countedDepartures(ctx, conn, d)
	if err != nil {
		return Result{}, fmt.Errorf("audit departures: %w", err)
	}
	r.Tables = append(r.Tables, t) // no rows of its own: not in the totals
	r.Digest = hex.EncodeToString(sum.Sum(nil))
	return r, nil
}

func expectedKeys(d *Data, table string) map[string]int64 {
	keys := make(map[string]int64)
	switch table {
	case "airport":
		for _, a := range d.Airports {
			keys[a.IATA]++
		}
	case "rejected_flight":
		for _, r := range d.Rejects {
			keys[strconv.Itoa(r.Line)]++
		}
	case "model":
		keys["delayed"] = 1
	default:
		for _, f := range d.Flights {
			keys[strconv.Itoa(f.Line)]++
		}
	}
	return keys
}

func count(ctx context.Context, conn *pgx.Conn, spec tableSpec, want map[string]int64) (Table, error) {
	found, err := counts(ctx, conn, "select "+spec.key+", count(*) from "+spec.name+" group by 1")
	if err != nil {
		return Table{}, err
	}
	return compare(spec.name, want, found), nil
}

func countedDepartures(ctx context.Context, conn *pgx.Conn, d *Data) (Table, error) {
	want := make(map[string]int64)
	for _, f := range d.Flights {
		want[f.Origin]++
	}
	found, err := counts(ctx, conn, "select iata, max(departures) from airport where departures > 0 group by 1")
	if err != nil {
		return Table{}, err
	}
	return compare("airport.departures", want, found), nil
}

func counts(ctx context.Context, conn *pgx.Conn, sql string) (map[string]int64, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	out := make(map[string]int64)
	var (
		key string
		n   int64
	)
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error { out[key] = n; return nil })
	return out, err
}

func compare(name string, want, found map[string]int64) Table {
	t := Table{Name: name}
	for key, w := range want {
		t.Expected += w
		t.Lost += max(0, w-found[key])
	}
	for key, f := range found {
		t.Found += f
		t.Doubled += max(0, f-want[key])
	}
	return t
}

func digest(ctx context.Context, conn *pgx.Conn, spec tableSpec, sum hash.Hash) error {
	sum.Write(fmt.Appendf(nil, "table %s (%s)\n", spec.name, spec.columns))
	rows, err := conn.Query(ctx, "select "+spec.columns+" from "+spec.name+" order by "+spec.order+", id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		var line []byte
		for _, v := range values {
			line = appendValue(line, v)
		}
		sum.Write(append(line, '\n'))
	}
	return rows.Err()
}

// appendValue renders a value so that different values are different text: floats
// with as many digits as tell their bits apart.
func appendValue(line []byte, v any) []byte {
	switch v := v.(type) {
	case float64:
		line = strconv.AppendFloat(line, v, 'g', -1, 64)
	case time.Time:
		line = v.UTC().AppendFormat(line, time.RFC3339Nano)
	default:
		line = strconv.AppendQuote(line, fmt.Sprint(v))
	}
	return append(line, '\t')
}
