package outcome

import (
	"context"
	"strconv"
	"strings"
	"time"
)

const (
	maxOrphans  = 1024
	orphanWatch = 2 * time.Second // what was on its way when the connection broke has arrived by then
	orphanRetry = time.Second     // between attempts to reach the server for orphans alone
)

// orphan is a backend that was in a transaction when its connection broke on
// this side, before COMMIT was written. The server may not notice for hours,
// and its locks, or its key, would keep the repeat waiting all the while.
type orphan struct {
	backend Backend
	born    time.Time
	asked   time.Time // when the server was first asked about it
}

// Adopt makes r end the backend b, if it is known. It does not wait for that.
func (r *Resolver) Adopt(ctx context.Context, b Backend) {
	if b.PID == "" || b.Began == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.orphans) < maxOrphans {
		r.orphans = append(r.orphans, &orphan{backend: b, born: time.Now()})
		r.start(ctx)
	}
}

// left returns the orphans that are to be looked for.
func (r *Resolver) left() []*orphan {
	r.mu.Lock()
	defer r.mu.Unlock()
	still := r.orphans[:0]
	for _, o := range r.orphans {
		if o.backend.PID != "" && time.Since(o.born) < r.cfg.Limit && (o.asked.IsZero() || time.Since(o.asked) < orphanWatch) {
			still = append(still, o)
		}
	}
	clear(r.orphans[len(still):])
	r.orphans = still
	return append([]*orphan(nil), still...)
}

// endOrphans ends those of all that are in a transaction, and forgets those that
// are gone. An active one is ended too: it cannot be in a COMMIT, for none was
// sent. Without the right to do so that is left to time.
func (r *Resolver) endOrphans(ctx context.Context, c Session, all []*orphan) error {
	if len(all) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("select v.i, case when a.state like 'idle in transaction%' or a.state = 'active' then pg_terminate_backend(a.pid) end " +
		"from pg_stat_activity a join (values ")
	for i, o := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("(" + strconv.Itoa(i) + "," + o.backend.PID + "," + o.backend.Began + "," + strconv.FormatBool(o.backend.InTx) + ")")
	}
	b.WriteString(") v (i, pid, began, in_tx) on a.pid = v.pid and v.began = extract(epoch from case when v.in_tx then a.xact_start else a.backend_start end)")
	rows, _, err := c.Script(ctx, b.String())
	if _, refused := r.cfg.State(err); refused {
		rows, err = nil, nil
	}
	if err != nil {
		return err
	}
	idle := make(map[string]bool, len(rows)) // its BEGIN may still be on its way
	for _, row := range rows {
		idle[row[0]] = row[1] != "t"
	}
	for i, o := range all {
		if o.asked.IsZero() {
			o.asked = time.Now()
		}
		if !idle[strconv.Itoa(i)] {
			o.backend = Backend{} // gone, or about to be
		}
	}
	return nil
}
