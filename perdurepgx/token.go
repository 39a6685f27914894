package perdurepgx

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

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
func (r *resolver) askTokens(ctx context.Context, pc *pgconn.PgConn, batch []*question, limit time.Duration) error {
	committed := make([]*question, 0, len(batch))
	began := time.Now()
	for _, q := range batch {
		if time.Since(began) > limit/2 {
			break
		}
		v := major(pc)
		// Two statements in one message: an error of the second leaves the rows of the first.
		sql := "select pg_is_in_recovery(), " + incarnationSQL(v) + ", " + checkpointSQL(v) +
			"; select coalesce(pg_xact_status('" + strconv.FormatUint(q.doubt.xid, 10) + "'::xid8), '')"
		rows, _, err := simple(ctx, pc, sql)
		status := ""
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == sqlStateFuture && len(rows) == 1 {
			status, err = statusFuture, nil
		}
		if err != nil {
			return err
		}
		if len(rows[0]) != 1+incarnationColumns+2 || status == "" && len(rows) != 2 {
			return errors.New("the server did not answer what became of a transaction")
		}
		if rows[0][0] != "f" {
			return errStandby
		}
		if status == "" {
			status = rows[1][0]
		}
		now := incarnationOf(rows[0][1:])
		a := weigh(q.doubt, now, status, rows[0][1+incarnationColumns:])
		switch {
		case a.resolution == perdure.Committed:
			committed = append(committed, q)
		case a.resolution != "":
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
	if level := r.db.syncLevel.Load(); level != nil {
		sql += ", set_config('synchronous_commit', '" + *level + "', true)"
	}
	if _, _, err := simple(ctx, pc, sql); err != nil {
		return fmt.Errorf("committed, but not acknowledged by the standbys: %w", err)
	}
	if wireOf(pc).unreplicated.Swap(false) {
		return errUnreplicated
	}
	for _, q := range committed {
		q.answer(answer{
			resolution: perdure.Committed,
			evidence:   "xid " + strconv.FormatUint(q.doubt.xid, 10) + " is committed, and the server has not crashed since",
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
func weigh(d doubt, now incarnation, status string, checkpoint []string) answer {
	xid := "xid " + strconv.FormatUint(d.xid, 10)
	same := d.inc.same(now)
	switch {
	case d.inc.system != now.system:
		return answer{resolution: perdure.Undecided, evidence: "another database system answers", hint: "look whether the work is there"}
	case status == statusFuture:
		return answer{resolution: perdure.Aborted, evidence: xid + " was never written: it is in the future"}
	case status == statusAborted:
		return answer{resolution: perdure.Aborted, evidence: xid + " is aborted"}
	case status == statusInProgress:
		return answer{}
	case status == "":
		return answer{resolution: perdure.Undecided, evidence: xid + " is too old for the server to know"}
	case same:
		return answer{resolution: perdure.Committed}
	case givenBack(d, now, checkpoint):
		return answer{resolution: perdure.Aborted, evidence: xid + " was lost in a crash and handed out again"}
	}
	return answer{
		resolution: perdure.Undecided,
		evidence:   xid + " is committed, but the server has crashed or failed over since and may have handed it out again",
		hint:       hintMarker,
	}
}

const hintMarker = "look whether the work is there; use Marker (db.Migrate) to be certain across crashes"

// givenBack reports whether the crash recovery of now has given d's xid back:
// its checkpoint, the only one since, had not counted it. Statistics that a
// person reset are told apart by both of their times having changed.
func givenBack(d doubt, now incarnation, checkpoint []string) bool {
	if d.inc.timeline != now.timeline || d.inc.walReset == now.walReset || d.inc.bgReset == now.bgReset || checkpoint[1] != "1" {
		return false
	}
	next, ok := fullXID(checkpoint[0])
	return ok && d.xid >= next
}

// fullXID reads "epoch:xid".
func fullXID(s string) (uint64, bool) {
	var epoch, xid uint64
	if n, err := fmt.Sscanf(s, "%d:%d", &epoch, &xid); n != 2 || err != nil {
		return 0, false
	}
	return epoch<<32 | xid, true
}
