package outcome

import (
	"context"
	"errors"
	"strconv"
	"strings"

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
func (r *Resolver) askMarkers(ctx context.Context, c Session, batch []*Question) error {
	if len(batch) == 0 {
		return nil
	}
	script := []string{
		"begin isolation level read committed read write",
		"set local lock_timeout = " + strconv.Itoa(max(markerWait/len(batch), 1)),
		"set local statement_timeout = 0",
	}
	if level := r.cfg.Level(); level != "" {
		script = append(script, "set local synchronous_commit = "+level)
	}
	var b strings.Builder
	b.WriteString("select a, perdure.resolve(a) from unnest('{")
	byID := make(map[string]*Question, len(batch))
	for i, q := range batch {
		if i > 0 {
			b.WriteByte(',')
		}
		id := q.Doubt.ID.String()
		b.WriteString(id)
		byID[id] = q
	}
	b.WriteString("}'::uuid[]) a")
	rows, tag, err := c.Script(ctx, append(script, b.String(), "commit")...)
	if err != nil {
		if r.isMissing(err) {
			err = &hintError{err: err, hint: HintMigrate}
		}
		return err
	}
	if tag != "COMMIT" {
		return errors.New("the resolver's own transaction was rolled back")
	}
	if c.Unreplicated() {
		return ErrUnreplicated
	}
	for _, row := range rows {
		q := byID[row[0]]
		if q == nil {
			continue
		}
		switch row[1] {
		case "committed":
			q.answer(Answer{Resolution: perdure.Committed, Evidence: "its marker is there"})
		case "aborted":
			if q.tooOld() {
				q.answer(tooOldAnswer())
				continue
			}
			if err := r.evict(ctx, c, q.Doubt.Backend); err != nil {
				return err
			}
			q.answer(Answer{Resolution: perdure.Aborted, Evidence: "its marker was not there, and never can be"})
		default:
			q.hinder(errStillOpen)
		}
	}
	return nil
}

var errStillOpen = errors.New("its transaction is still open on the server")

// HintMigrate is for errors that the missing table causes.
const HintMigrate = "create perdure's table with db.Migrate, as a role that may create a schema"

// ErrUnreplicated is the error of a commit that is done on the primary and was
// not acknowledged by the synchronous standbys: a failover could drop it.
var ErrUnreplicated = errors.New("committed, but the wait for the synchronous standbys was cancelled")

// IsMissing reports whether an answer of the server with this SQLSTATE says that
// perdure's schema is not there or may not be used.
func IsMissing(state string) bool {
	switch state {
	case "42501", "42883", "42P01", "3F000":
		return true
	}
	return false
}

func (r *Resolver) isMissing(err error) bool {
	state, _ := r.cfg.State(err)
	return IsMissing(state)
}
