package matrix

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure/bench/matrix/subject"
)

// tally is what became of the work of a cell.
type tally struct {
	done     int // said to be done, and there once
	lost     int // said to be done, and not there
	dropped  int // said to be done by a primary that is gone, and not there: asynchronous replication's loss
	doubled  int // there more than once
	wrong    int // said to have failed, and there
	safe     int // of those, marked as safe to repeat by the driver
	failed   int // said to have failed, and not there
	unknown  int // said to be unknown
	readsOff int // reads that failed
	hung     int // calls that did not return before their connection was cut
	txFailed int // of failed and unknown, those that were transactions

	examples []string // of what must not be, and of failures
}

// count compares what the callers were told with what is there.
func count(calls [callers][]call, there map[int64]int, s subject.Subject, failedOver time.Time) tally {
	var t tally
	for _, caller := range calls {
		for _, c := range caller {
			if c.kind == reads {
				if c.err != nil {
					t.readsOff++
				}
				continue
			}
			n := there[c.key]
			switch {
			case n > 1:
				t.doubled++
				t.example("doubled", c, n)
			case c.err == nil && n == 0 && c.ended.Before(failedOver):
				t.dropped++
			case c.err == nil && n == 0:
				t.lost++
				t.example("lost", c, n)
			case c.err == nil:
				t.done++
			case s.Unknown(c.err):
				t.unknown++
				t.notDone(c, "unknown", n)
			case n == 1:
				t.wrong++
				if pgconn.SafeToRetry(c.err) {
					t.safe++
				}
				t.example("wrongly reported", c, n)
			default:
				t.failed++
				t.notDone(c, "failed", n)
			}
		}
	}
	return t
}

func (t *tally) notDone(c call, what string, n int) {
	if c.kind == transactions {
		t.txFailed++
	}
	t.example(what, c, n)
}

// example keeps the first few of each sort.
func (t *tally) example(what string, c call, n int) {
	const enough = 3
	have := 0
	for _, e := range t.examples {
		if strings.HasPrefix(e, what+":") {
			have++
		}
	}
	if have < enough {
		sort := "transaction"
		if c.kind == statements {
			sort = "statement"
		}
		t.examples = append(t.examples, fmt.Sprintf("%s: a %s, there %d times, after %v: %v", what, sort, n, c.ended.Sub(c.began).Round(time.Millisecond), said(c.err)))
	}
}

func said(err error) string {
	if err == nil {
		return "success"
	}
	text := err.Error()
	if e := errors.Unwrap(err); e != nil {
		text += fmt.Sprintf(" <- %T", e)
	}
	return text
}

// clean reports whether nothing is there that must not be.
func (t *tally) clean() bool { return t.lost == 0 && t.doubled == 0 && t.wrong == 0 }
