package perduresql

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/perdure/perdure/internal/outcome"
)

// session is a connection of the resolver's or prober's own. It dies with the
// first error of the network.
type session struct {
	l       *link
	version int
}

// session connects beside the pool.
func (db *DB) session(ctx context.Context, limit time.Duration) (outcome.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l, err := db.dial(ctx)
	if err != nil {
		return nil, err
	}
	if l.w != nil {
		l.w.committing.Store(true) // a CancelRequest would end the resolver's own wait for the standbys
	}
	s := &session{l: l}
	if s.version, err = l.major(ctx); err != nil {
		s.HangUp(ctx)
		return nil, err
	}
	return s, nil
}

// Script sends the statements one by one, for drivers give the rows of the first
// statement of a message only. Several that begin no transaction are put into
// one, so that a pooler cannot spread them over servers.
func (s *session) Script(ctx context.Context, statements ...string) (rows [][]string, tag string, err error) {
	wrap := len(statements) > 1 && !strings.HasPrefix(statements[0], "begin")
	if wrap {
		if err := s.l.tell(ctx, farAway, "begin read only"); err != nil {
			return nil, "", err
		}
		defer func() {
			if back := s.l.tell(ctx, farAway, "rollback"); back != nil {
				err = errors.Join(err, back)
			}
		}()
	}
	for _, sql := range statements {
		if strings.HasPrefix(sql, "select") {
			more, err := s.l.ask(ctx, farAway, sql)
			rows = append(rows, more...)
			if err != nil {
				return rows, "", err
			}
		} else if err := s.l.tell(ctx, farAway, sql); err != nil {
			return rows, "", err
		}
	}
	if statements[len(statements)-1] == "commit" {
		tag = "COMMIT" // what came before it in its transaction succeeded
	}
	return rows, tag, nil
}

// farAway is for a wait that another context bounds.
const farAway = time.Hour

// Version returns the major version of the server.
func (s *session) Version() int { return s.version }

// Unreplicated reports whether a wait for synchronous standbys was cancelled.
func (s *session) Unreplicated() bool { return s.l.w != nil && s.l.w.unreplicated.Swap(false) }

// Broken reports whether nothing can be asked any more.
func (s *session) Broken() bool { return s.l.broken.Load() }

// HangUp closes the connection.
func (s *session) HangUp(context.Context) { _ = s.l.Close() } //nolint:contextcheck // Close has a limit of its own
