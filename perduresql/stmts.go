package perduresql

import (
	"context"
	"database/sql/driver"
	"slices"
)

// maxStmts is how many prepared statements a connection keeps.
const maxStmts = 128

// stmts are the statements that are prepared on one connection, the last used
// last.
type stmts struct {
	known map[string]driver.Stmt
	order []string
}

// get returns query prepared on dc.
func (s *stmts) get(ctx context.Context, dc driver.Conn, query string) (driver.Stmt, error) {
	if st, ok := s.known[query]; ok {
		i := slices.Index(s.order, query)
		s.order = append(slices.Delete(s.order, i, i+1), query)
		return st, nil
	}
	var st driver.Stmt
	var err error
	if p, ok := dc.(driver.ConnPrepareContext); ok {
		st, err = p.PrepareContext(ctx, query)
	} else {
		st, err = dc.Prepare(query)
	}
	if err != nil {
		return nil, err
	}
	if len(s.order) >= maxStmts {
		s.drop(s.order[0])
	}
	if s.known == nil {
		s.known = map[string]driver.Stmt{}
	}
	s.known[query] = st
	s.order = append(s.order, query)
	return st, nil
}

// failed forgets query if err says that it must be prepared again: its result
// has another type by now, or the server (or a pooler's) does not know it.
func (s *stmts) failed(w *wire, query string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := answerFields(w, err); ok && (f.SQLState == "0A000" || f.SQLState == "26000") {
		s.drop(query)
	}
	return err
}

func (s *stmts) drop(query string) {
	st, ok := s.known[query]
	if !ok {
		return
	}
	delete(s.known, query)
	s.order = slices.DeleteFunc(s.order, func(q string) bool { return q == query })
	_ = st.Close()
}
