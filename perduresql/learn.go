package perduresql

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/perdure/perdure/internal/outcome"
)

// askWait bounds what is asked of a server about itself, and a BEGIN: neither
// waits for anybody.
const askWait = 5 * time.Second

// facts are what a connection has learned about its server before its first
// transaction. They hold for the life of a direct connection: a crash or
// failover ends it.
type facts struct {
	epoch     int64 // of DB.factsEpoch; older facts are learned again
	version   int   // major
	direct    bool  // the backend is the one that was dialled: no pooler is between
	marker    bool  // perdure's functions are there and may be used
	recovery  bool  // the server is a standby
	inc       outcome.Incarnation
	backend   outcome.Backend
	syncLevel string // synchronous_commit
}

// major asks for the major version of the server; zero if it does not say.
func (l *link) major(ctx context.Context) (int, error) {
	rows, err := l.ask(ctx, askWait, "select current_setting('server_version_num')")
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, errNoAnswer
	}
	n, err := strconv.Atoi(rows[0][0])
	return n / 10000, err
}

var errNoAnswer = errors.New("perduresql: the server did not answer what it is")

// learn returns the facts of l's connection, asking the server if they are not
// known or out of date.
func (db *DB) learn(ctx context.Context, l *link) (*facts, error) {
	epoch := db.factsEpoch.Load()
	if l.known != nil && l.known.epoch == epoch {
		return l.known, nil
	}
	version, err := l.major(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := l.ask(ctx, askWait, "select pg_backend_pid(), pg_is_in_recovery(), current_setting('synchronous_commit'), "+outcome.MarkerSQL+", "+
		"(select extract(epoch from a.backend_start) from pg_stat_get_activity(pg_backend_pid()) a), "+outcome.IncarnationSQL(version))
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) != 5+outcome.IncarnationColumns {
		return nil, errNoAnswer
	}
	r := rows[0]
	f := &facts{
		epoch: epoch, version: version, recovery: r[1] == "t", syncLevel: r[2], marker: r[3] == "t",
		backend: outcome.Backend{PID: r[0], Began: r[4]},
		inc:     outcome.IncarnationOf(r[5:]),
	}
	if l.w != nil {
		pid, _ := l.w.backend()
		f.direct = pid != 0 && r[0] == strconv.FormatUint(uint64(pid), 10)
	}
	l.known = f
	if f.recovery {
		// Promotion does not end the connections of a standby: ask again.
		l.known = nil
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
