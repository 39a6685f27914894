package perdurepgx

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/internal/outcome"
)

// facts are what a connection has learned about its server, in one round trip
// before its first transaction. They hold for the life of a direct connection:
// a crash or failover ends it.
type facts struct {
	epoch     int64 // of DB.epoch; older facts are learned again
	direct    bool  // the backend is the one that was dialled: no pooler is between
	marker    bool  // perdure's functions are there and may be used
	insert    bool  // a marker may be inserted without them
	recovery  bool  // the server is a standby
	inc       outcome.Incarnation
	backend   outcome.Backend
	syncLevel string // synchronous_commit
}

// learn returns the facts of w's connection, asking the server if they are not
// known or out of date.
func (db *DB) learn(ctx context.Context, pc *pgconn.PgConn, w *wire) (*facts, error) {
	epoch := db.factsEpoch.Load()
	if w.known != nil && w.known.epoch == epoch {
		return w.known, nil
	}
	sql := "select pg_backend_pid(), pg_is_in_recovery(), current_setting('synchronous_commit'), " + outcome.MarkerSQL + ", " + outcome.InsertSQL + ", " +
		"(select extract(epoch from a.backend_start) from pg_stat_get_activity(pg_backend_pid()) a), " + outcome.IncarnationSQL(major(pc))
	rows, _, err := simple(ctx, pc, sql)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) != 6+outcome.IncarnationColumns {
		return nil, errors.New("perdurepgx: the server did not answer what it is")
	}
	r := rows[0]
	f := &facts{
		epoch:     epoch,
		direct:    r[0] == strconv.FormatUint(uint64(pc.PID()), 10),
		recovery:  r[1] == "t",
		syncLevel: r[2],
		marker:    r[3] == "t",
		insert:    r[4] == "t",
		backend:   outcome.Backend{PID: r[0], Began: r[5]},
		inc:       outcome.IncarnationOf(r[6:]),
	}
	w.known = f
	if f.recovery {
		// Promotion does not end the connections of a standby: ask again.
		w.known = nil
	}
	if err := db.prepare(ctx, pc, w, f); err != nil {
		return nil, err
	}
	db.method.Store(uint32(db.methodFor(f)))
	db.syncLevel.Store(&f.syncLevel)
	return f, nil
}

// methodFor returns how doubts of a connection with these facts are resolved.
func (db *DB) methodFor(f *facts) Outcome {
	if db.cfg.Outcome != Auto {
		return db.cfg.Outcome
	}
	if f.marker {
		return Marker
	}
	return Token
}

// major returns the major version of the server; zero if it does not say.
func major(pc *pgconn.PgConn) int {
	v := pc.ParameterStatus("server_version")
	if i := strings.IndexFunc(v, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		v = v[:i]
	}
	n, _ := strconv.Atoi(v)
	return n
}

// simple runs sql by the simple protocol, in one round trip, and returns the
// rows of all its statements as text (NULL is "") and the last command tag.
func simple(ctx context.Context, pc *pgconn.PgConn, sql string) (rows [][]string, tag string, err error) {
	results := pc.Exec(ctx, sql)
	for results.NextResult() {
		r := results.ResultReader()
		for r.NextRow() {
			row := make([]string, len(r.Values()))
			for i, v := range r.Values() {
				row[i] = string(v)
			}
			rows = append(rows, row)
		}
		t, err := r.Close()
		if err != nil {
			break // Close below returns it
		}
		tag = t.String()
	}
	return rows, tag, results.Close()
}
