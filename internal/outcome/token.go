package outcome

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/perdure/perdure"
)

// checkpointSQL is the first xid that the server's last checkpoint had not
// handed out, and how many checkpoints the statistics have counted. A crash
// ends in a checkpoint and starts the count anew.
func checkpointSQL(version int) string {
	count := "(select checkpoints_timed + checkpoints_req from pg_stat_bgwriter)"
	if version >= 17 {
		count = "(select num_timed + num_requested from pg_stat_checkpointer)"
	}
	return "(select next_xid from pg_control_checkpoint()), " + count
}

const sqlStateFuture = "22023" // "transaction ID is in the future"

// askTokens asks for the fate of each xid, together with the identity of the
// server that answers, in one round trip each. What half of limit is not enough
// for is left for the next time: answers count only after the last round trip.
func (r *Resolver) askTokens(ctx context.Context, c Session, batch []*Question, limit time.Duration) error {
	committed := make([]*Question, 0, len(batch))
	began := time.Now()
	for _, q := range batch {
		if time.Since(began) > limit/2 {
			break
		}
		v := c.Version()
		// Two statements on one server: an error of the second leaves the rows of the first.
		rows, _, err := c.Script(ctx, "select pg_is_in_recovery(), "+IncarnationSQL(v)+", "+checkpointSQL(v),
			"select coalesce(pg_xact_status('"+strconv.FormatUint(q.Doubt.XID, 10)+"'::xid8), '')")
		status := ""
		if state, _ := r.cfg.State(err); state == sqlStateFuture && len(rows) == 1 {
			status, err = statusFuture, nil
		}
		if err != nil {
			return err
		}
		if len(rows[0]) != 1+IncarnationColumns+2 || status == "" && len(rows) != 2 {
			return errors.New("the server did not answer what became of a transaction")
		}
		if rows[0][0] != "f" {
			return errStandby
		}
		if status == "" {
			status = rows[1][0]
		}
		now := IncarnationOf(rows[0][1:])
		a := weigh(q.Doubt, now, status, rows[0][1+IncarnationColumns:])
		switch {
		case a.Resolution == perdure.Committed:
			committed = append(committed, q)
		case a.Resolution != "":
			q.answer(a)
		default:
			q.hinder(errStillOpen)
		}
	}
	if len(committed) == 0 {
		return nil
	}
	// A WAL record of our own comes later than theirs: once it is acknowledged
	// as far as synchronous_commit demands, so are they.
	sql := "select pg_logical_emit_message(true, 'perdure', '')"
	if level := r.cfg.Level(); level != "" {
		sql += ", set_config('synchronous_commit', '" + level + "', true)"
	}
	if _, _, err := c.Script(ctx, sql); err != nil {
		return fmt.Errorf("committed, but not acknowledged by the standbys: %w", err)
	}
	if c.Unreplicated() {
		return ErrUnreplicated
	}
	for _, q := range committed {
		q.answer(Answer{
			Resolution: perdure.Committed,
			Evidence:   "xid " + strconv.FormatUint(q.Doubt.XID, 10) + " is committed, and the server has not crashed since",
		})
	}
	return nil
}

// errStandby is no answer: what a standby says of a transaction may still change.
var errStandby = errors.New("the server is a standby")

const (
	statusFuture     = "in the future"
	statusAborted    = "aborted"
	statusCommitted  = "committed"
	statusInProgress = "in progress"
)

// weigh decides what a status proves. As long as the server has not crashed
// and not been replaced, everything. After that an xid may have been handed out
// again: "aborted" and "in the future" still prove that the transaction is not
// there, "committed" proves nothing, unless the xid is one that the last crash
// recovery has given back. The zero answer means: ask again.
func weigh(d Doubt, now Incarnation, status string, checkpoint []string) Answer {
	xid := "xid " + strconv.FormatUint(d.XID, 10)
	same := d.In.same(now)
	switch {
	case d.In.system != now.system:
		return Answer{Resolution: perdure.Undecided, Evidence: "another database system answers", Hint: "look whether the work is there"}
	case status == statusFuture:
		return Answer{Resolution: perdure.Aborted, Evidence: xid + " was never written: it is in the future"}
	case status == statusAborted:
		return Answer{Resolution: perdure.Aborted, Evidence: xid + " is aborted"}
	case status == statusInProgress:
		return Answer{}
	case status == "":
		return Answer{Resolution: perdure.Undecided, Evidence: xid + " is too old for the server to know"}
	case same:
		return Answer{Resolution: perdure.Committed}
	case givenBack(d, now, checkpoint):
		return Answer{Resolution: perdure.Aborted, Evidence: xid + " was lost in a crash and handed out again"}
	}
	return Answer{
		Resolution: perdure.Undecided,
		Evidence:   xid + " is committed, but the server has crashed or failed over since and may have handed it out again",
		Hint:       hintMarker,
	}
}

const hintMarker = "look whether the work is there; use Marker (db.Migrate) to be certain across crashes"

// givenBack reports whether the crash recovery of now has given d's xid back:
// its checkpoint, the only one since, had not counted it. Statistics that a
// person reset are told apart by both of their times having changed.
func givenBack(d Doubt, now Incarnation, checkpoint []string) bool {
	if d.In.timeline != now.timeline || d.In.walReset == now.walReset || d.In.bgReset == now.bgReset || checkpoint[1] != "1" {
		return false
	}
	next, ok := fullXID(checkpoint[0])
	return ok && d.XID >= next
}

// fullXID reads "epoch:xid".
func fullXID(s string) (uint64, bool) {
	var epoch, xid uint64
	if n, err := fmt.Sscanf(s, "%d:%d", &epoch, &xid); n != 2 || err != nil {
		return 0, false
	}
	return epoch<<32 | xid, true
}
