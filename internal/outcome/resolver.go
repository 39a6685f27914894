// Package outcome finds out what became of a COMMIT whose reply was lost, for
// every adapter: the schema of markers, the tokens, the resolver that asks on a
// connection of its own, and the fence that ends backends which wait for a
// client that is gone.
package outcome

import (
	"context"
	"errors"
	"sync"
	"time"

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

// Session is a connection of the resolver's own. One goroutine uses it at a time.
type Session interface {
	// Script runs statements one after the other on one server, the first error
	// ends it. It returns the rows of all as text (NULL is "", true is "t"), and
	// the command tag of the last.
	Script(ctx context.Context, statements ...string) (rows [][]string, tag string, err error)
	// Version returns the major version of the server; zero if it is not known.
	Version() int
	// Unreplicated reports whether a wait for synchronous standbys was cancelled,
	// and forgets it.
	Unreplicated() bool
	// Broken reports whether nothing can be asked any more.
	Broken() bool
	// HangUp closes it without waiting for long.
	HangUp(ctx context.Context)
}

// Config configures a [Resolver]. Its funcs may be called concurrently.
type Config struct {
	// Dial connects beside the pool, within limit.
	Dial func(ctx context.Context, limit time.Duration) (Session, error)
	// State returns the SQLSTATE of err, if it is an answer of the server, and
	// whether that was a plain no (severity ERROR).
	State func(err error) (state string, refused bool)
	// Level returns the synchronous_commit of the pool's connections; "" if it is not known.
	Level func() string
	// Go starts a goroutine that the owner waits for.
	Go func(f func())
	// Closed ends everything.
	Closed <-chan struct{}
	// Limit is how long a doubt may be looked into.
	Limit time.Duration
}

// Resolver finds out what became of commits. One goroutine asks for all, on a
// connection of its own that no breaker can refuse; it lives only while there
// is something to ask, and a little longer. It is safe for concurrent use.
type Resolver struct {
	cfg Config

	mu      sync.Mutex // guards the fields below
	waiting []*Question
	orphans []*orphan
	running bool
	wake    chan struct{} // of size 1
}

// NewResolver returns a resolver that asks as cfg says.
func NewResolver(cfg Config) *Resolver { return &Resolver{cfg: cfg} }

// Question is a doubt in the resolver.
type Question struct {
	Doubt  Doubt
	Marker bool        // ask for its marker, not for its xid
	ready  chan Answer // of size 1

	// The resolver's goroutine alone uses these two.
	idle    time.Time // since when its backend was seen idle in the transaction
	backend string

	mu    sync.Mutex // guards the fields below
	given bool       // answered, or nobody waits any more
	why   error      // what stood in the way last
}

// Resolve asks q and waits for the answer, for Config.Limit at most, also when
// ctx has ended.
func (r *Resolver) Resolve(ctx context.Context, q *Question) Answer {
	limit := r.cfg.Limit
	if q.tooOld() {
		return tooOldAnswer()
	}
	q.ready = make(chan Answer, 1)
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
	case <-r.cfg.Closed:
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
func (r *Resolver) start(ctx context.Context) {
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
		r.cfg.Go(func() { r.run(base) })
	}
}

// MinRetention is the shortest time for which rows may be kept.
const MinRetention = time.Hour

// maxAge is how old a doubt may be: the marker of an older one may be pruned,
// by a program whose Config keeps them for the shortest time.
const maxAge = MinRetention / 2

// tooOld reports whether a marker that is not there proves nothing any more.
// The wall clock counts: a process may have been asleep with its machine.
func (q *Question) tooOld() bool { return time.Since(q.Doubt.Sent.Round(0)) > maxAge }

func tooOldAnswer() Answer {
	return Answer{Resolution: perdure.Undecided, Evidence: "the doubt is older than markers are sure to be kept"}
}

// answer gives q its answer; the first counts.
func (q *Question) answer(a Answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.given {
		q.given = true
		q.ready <- a
	}
}

// hinder notes what stands in the way.
func (q *Question) hinder(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.why = err
	}
}

func (q *Question) open() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.given
}

// batch returns the questions that are still open.
func (r *Resolver) batch() []*Question {
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
	return append([]*Question(nil), still[:min(len(still), resolverBatch)]...)
}

// run is the resolver's goroutine.
func (r *Resolver) run(ctx context.Context) {
	var c Session
	defer func() {
		if c != nil {
			c.HangUp(ctx)
		}
	}()
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
		if c == nil {
			var err error
			if c, err = r.cfg.Dial(ctx, dialing.limit); err != nil {
				c = nil
				dialing.failed(err)
				hinderAll(batch, err)
				if len(batch) > 0 && !r.pause(resolverRetry, nil) || len(batch) == 0 && !r.pause(orphanRetry, r.wake) {
					return
				}
				continue
			}
		}
		err := r.ask(ctx, c, batch, orphans, asking.limit)
		if err != nil {
			asking.failed(err)
			hinderAll(batch, err)
			c.HangUp(ctx)
			c = nil
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

func hinderAll(batch []*Question, err error) {
	for _, q := range batch {
		q.hinder(err)
	}
}

// linger waits for a question. It reports false, and the goroutine ends, if
// none comes.
func (r *Resolver) linger() bool {
	timer := time.NewTimer(resolverIdle)
	defer timer.Stop()
	select {
	case <-r.wake:
		return true
	case <-timer.C:
	case <-r.cfg.Closed:
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
func (r *Resolver) pause(d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-wake:
		return true
	case <-r.cfg.Closed:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = false
	return false
}

// ask asks for all of batch. An error means that the connection is of no use.
func (r *Resolver) ask(ctx context.Context, c Session, batch []*Question, orphans []*orphan, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var markers, tokens []*Question
	for _, q := range batch {
		if q.Marker {
			markers = append(markers, q)
		} else {
			tokens = append(tokens, q)
		}
	}
	errMarkers := r.askMarkers(ctx, c, markers)
	var errTokens error
	if !c.Broken() {
		errTokens = r.askTokens(ctx, c, tokens, limit)
	}
	if errMarkers == nil && errTokens == nil {
		if err := r.endOrphans(ctx, c, orphans); err != nil {
			return err
		}
		for _, q := range batch {
			if q.open() && q.Doubt.XID != 0 {
				if err := r.fence(ctx, c, q); err != nil {
					return err
				}
			}
		}
	}
	return errors.Join(errMarkers, errTokens)
}
