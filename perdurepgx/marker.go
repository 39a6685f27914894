package perdurepgx

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
)

// markerWait is for how many milliseconds one transaction of the resolver waits
// for attempts that are still open, shared among them.
const markerWait = 20

// askMarkers asks for all markers in one transaction. Each question inserts
// the row of its attempt: if that works, the attempt never can commit; if the
// row is there, it did. An answer counts when our own COMMIT is acknowledged;
// if that reply is lost too, the same question is asked again, and our own row
// is known by its tombstone.
func (r *resolver) askMarkers(ctx context.Context, pc *pgconn.PgConn, batch []*question) error {
	if len(batch) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("begin isolation level read committed read write; set local lock_timeout = ")
	b.WriteString(strconv.Itoa(max(markerWait/len(batch), 1)))
	b.WriteString("; ")
	b.WriteString("set local statement_timeout = 0; ")
	if level := r.db.syncLevel.Load(); level != nil {
		b.WriteString("set local synchronous_commit = ")
		b.WriteString(*level)
		b.WriteString("; ")
	}
	b.WriteString("select a, perdure.resolve(a) from unnest('{")
	byID := make(map[string]*question, len(batch))
	for i, q := range batch {
		if i > 0 {
			b.WriteByte(',')
		}
		id := q.doubt.id.String()
		b.WriteString(id)
		byID[id] = q
	}
	b.WriteString("}'::uuid[]) a; commit")
	rows, tag, err := simple(ctx, pc, b.String())
	if err != nil {
		if isMissing(err) {
			err = &hintError{err: err, hint: hintMigrate}
		}
		return err
	}
	if tag != "COMMIT" {
		return errors.New("the resolver's own transaction was rolled back")
	}
	if wireOf(pc).unreplicated.Swap(false) {
		return errUnreplicated
	}
	for _, row := range rows {
		q := byID[row[0]]
		if q == nil {
			continue
		}
		switch row[1] {
		case "committed":
			q.answer(answer{resolution: perdure.Committed, evidence: "its marker is there"})
		case "aborted":
			if q.tooOld() {
				q.answer(tooOldAnswer())
				continue
			}
			if err := evict(ctx, pc, q.doubt.backend); err != nil {
				return err
			}
			q.answer(answer{resolution: perdure.Aborted, evidence: "its marker was not there, and never can be"})
		default:
			q.hinder(errStillOpen)
		}
	}
	return nil
}

var errStillOpen = errors.New("its transaction is still open on the server")
