package perdurepgx

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/perdure/perdure"
)

const (
	resolverDial  = time.Second            // for one connection; twice as long after two that took longer
	dialSlow      = 4 * time.Second        // at most that: TLS and a password take eight round trips
	resolverAsk   = 400 * time.Millisecond // for one batch of questions; twice as long after two that took longer
	resolverSlow  = 8 * time.Second        // at most that: under synchronous replication the resolver waits as others do
	resolverRetry = 100 * time.Millisecond // after the server could not be reached
	resolverIdle  = 5 * time.Second        // before an idle resolver gives its connection back
	resolverBatch = 256                    // questions at a time
	firstPoll     = 2 * time.Millisecond   // while a transaction is still running
	lastPoll      = 50 * time.Millisecond
)

// resolver finds out what became of commits. One goroutine asks for all, on a
// connection of its own that no breaker can refuse; it lives only while there
// is something to ask, and a little longer.
type resolver struct {
	db *DB

	mu      sync.Mutex // guards the fields below
	waiting []*question
	orphans []*orphan
	running bool
	wake    chan struct{} // of size 1
}

// question is a doubt in the resolver.
type question struct {
	doubt  doubt
	method Outcome
	ready  chan answer // of size 1

	// The resolver's goroutine alone uses these two.
	idle    time.Time // since when its backend was seen idle in the transaction
	backend string

	mu    sync.Mutex // guards the fields below
	given bool       // answered, or nobody waits any more
	why   error      // what stood in the way last
}

// resolve asks q and waits for the answer, for Config.ResolveTimeout at most.
func (r *resolver) resolve(ctx context.Context, q *question) answer {
	limit := r.db.cfg.ResolveTimeout
	if q.tooOld() {
		return tooOldAnswer()
	}
	q.ready = make(chan answer, 1)
	r.mu.Lock()
	r.waiting = append(r.waiting, q)
	r.start(ctx)
	r.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-q.ready:
		return a
	case <-timer.C:
	case <-r.db.closed:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.given = true
	select {
	case a := <-q.ready: // it came at the same moment
		return a
	default:
		return unknown(limit, q.why)
	}
}

// start makes sure that the goroutine runs, and wakes it. r.mu is held.
func (r *resolver) start(ctx context.Context) {
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
	if !r.running {
		r.running = true
		base := context.WithoutCancel(ctx)
		r.db.background.Go(func() { r.run(base) })
	}
}

// maxAge is how old a doubt may be: the marker of an older one may be pruned,
// by a program whose Config keeps them for the shortest time.
const maxAge = minRetention / 2

// tooOld reports whether a marker that is not there proves nothing any more.
// The wall clock counts: a process may have been asleep with its machine.
func (q *question) tooOld() bool { return time.Since(q.doubt.sent.Round(0)) > maxAge }

func tooOldAnswer() answer {
	return answer{resolution: perdure.Undecided, evidence: "the doubt is older than markers are sure to be kept"}
}

// answer gives q its answer; the first counts.
func (q *question) answer(a answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.given {
		q.given = true
		q.ready <- a
	}
}

// hinder notes what stands in the way.
func (q *question) hinder(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.why = err
	}
}

func (q *question) open() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.given
}

// batch returns the questions that are still open.
func (r *resolver) batch() []*question {
	r.mu.Lock()
	defer r.mu.Unlock()
	still := r.waiting[:0]
	for _, q := range r.waiting {
		if q.open() {
			still = append(still, q)
		}
	}
	clear(r.waiting[len(still):])
	r.waiting = still
	return append([]*question(nil), still[:min(len(still), resolverBatch)]...)
}

// run is the resolver's goroutine.
func (r *resolver) run(ctx context.Context) {
	var pc *pgconn.PgConn
	defer func() { hangUp(ctx, pc) }()
	poll := firstPoll
	dialing := patience{limit: resolverDial, most: dialSlow}
	asking := patience{limit: resolverAsk, most: resolverSlow}
	for {
		batch, orphans := r.batch(), r.left()
		if len(batch)+len(orphans) == 0 {
			if !r.linger() {
				return
			}
			continue
		}
		if pc == nil {
			var err error
			if pc, err = r.db.dialOwn(ctx, dialing.limit); err != nil {
				pc = nil
				dialing.failed(err)
				hinderAll(batch, err)
				if len(batch) > 0 && !r.pause(resolverRetry, nil) || len(batch) == 0 && !r.pause(orphanRetry, r.wake) {
					return
				}
				continue
			}
		}
		err := r.ask(ctx, pc, batch, orphans, asking.limit)
		if err != nil {
			asking.failed(err)
			hinderAll(batch, err)
			hangUp(ctx, pc)
			pc = nil
		} else {
			asking = patience{limit: resolverAsk, most: resolverSlow}
		}
		if len(r.batch())+len(r.left()) == 0 {
			poll = firstPoll
			continue
		}
		if !r.pause(poll, nil) {
			return
		}
		poll = min(2*poll, lastPoll)
	}
}

// patience is a limit that doubles after two waits that were too long: a
// connection that leads nowhere is commoner than a server that is slow.
type patience struct {
	limit, most time.Duration
	late        int
}

func (p *patience) failed(err error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	if p.late++; p.late%2 == 0 {
		p.limit = min(2*p.limit, p.most)
	}
}

func hinderAll(batch []*question, err error) {
	for _, q := range batch {
		q.hinder(err)
	}
}

func hangUp(ctx context.Context, pc *pgconn.PgConn) {
	if pc != nil {
		ctx, cancel := context.WithTimeout(ctx, resolverDial)
		defer cancel()
		_ = pc.Close(ctx)
		_ = pc.Conn().Close() // the driver's clean-up of a broken connection would take 15 seconds
	}
}

// linger waits for a question. It reports false, and the goroutine ends, if
// none comes.
func (r *resolver) linger() bool {
	timer := time.NewTimer(resolverIdle)
	defer timer.Stop()
	select {
	case <-r.wake:
		return true
	case <-timer.C:
	case <-r.db.closed:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting)+len(r.orphans) > 0 {
		return true
	}
	r.running = false
	return false
}

// pause waits, or less if it is woken. It reports false if the DB is closed.
func (r *resolver) pause(d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-wake:
		return true
	case <-r.db.closed:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = false
	return false
}

// ask asks for all of batch. An error means that the connection is of no use.
func (r *resolver) ask(ctx context.Context, pc *pgconn.PgConn, batch []*question, orphans []*orphan, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var markers, tokens []*question
	for _, q := range batch {
		if q.method == Marker {
			markers = append(markers, q)
		} else {
			tokens = append(tokens, q)
		}
	}
	errMarkers := r.askMarkers(ctx, pc, markers)
	var errTokens error
	if !pc.IsClosed() {
		errTokens = r.askTokens(ctx, pc, tokens, limit)
	}
	if errMarkers == nil && errTokens == nil {
		if err := endOrphans(ctx, pc, orphans); err != nil {
			return err
		}
		for _, q := range batch {
			if q.open() && q.doubt.xid != 0 {
				if err := r.fence(ctx, pc, q); err != nil {
					return err
				}
			}
		}
	}
	return errors.Join(errMarkers, errTokens)
}
