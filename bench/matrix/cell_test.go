package matrix

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/bench/matrix/subject"
	"github.com/perdure/perdure/internal/faultproxy"
)

// extent is how much is done.
type extent struct {
	warm     int // calls of each caller before the fault
	hold     func(time.Duration) time.Duration
	recovery time.Duration // what takes longer to recover is not back; a peer's cell ends then
}

// result is what one cell of the table says.
type result struct {
	tally

	notRun    string        // why it was not run
	recovered time.Duration // after the end of the fault; negative: not within extent.recovery
	lasted    time.Duration // the fault
	dialed    int64         // connections that were asked for meanwhile
	ran       int64         // statements that went to the server meanwhile
	slowest   time.Duration // that a session past the proxy took for "select 1"
}

// run does a row for one subject.
func (p *place) run(c subject.Candidate, e extent) result {
	s, err := c.Open(p.Context(), subject.Settings{URL: p.url, Resolver: p.resolver, Pooler: p.row.pooler})
	p.ended(err)
	w := &workload{s: s, kind: everything}
	if p.row.only != 0 {
		w.kind = p.row.only
	}
	p.work = w
	w.do = func(ctx context.Context, key int64) error {
		return s.InTx(ctx, p.row.serializable, func(ctx context.Context, tx subject.Tx) error {
			if p.row.work != nil {
				return p.row.work(ctx, p, tx, key)
			}
			return tx.Exec(ctx, insertSQL, key)
		})
	}
	working, end := context.WithCancel(context.WithoutCancel(p.Context()))
	hung := 0
	finish := func() error {
		end()
		ended := make(chan struct{})
		go func() { w.wg.Wait(); close(ended) }()
		sever := time.NewTimer(severAfter)
		defer sever.Stop()
		if c.Perdure {
			sever.Stop()
		}
		for waiting := true; waiting; {
			select {
			case <-ended:
				waiting = false
			case <-sever.C:
				hung = w.underway()
				p.release()
			}
		}
		closing, cancel := context.WithTimeout(context.WithoutCancel(p.Context()), patience)
		defer cancel()
		return s.Close(closing)
	}
	closed := false
	p.Cleanup(func() {
		if !closed {
			p.release()
			_ = finish() // the cell has failed already
		}
	})

	w.start(working)
	warming, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	if !w.until(warming, func() bool { return w.warm(e.warm) }) {
		p.Fatalf("the workload does not get warm: %v", w.lastError())
	}

	var r result
	stopwatch := p.stopwatch()
	before := p.proxy.Stats().Connections
	ran := p.ran.Load()
	began := time.Now()
	mend, met := p.row.strike(p)
	if met != nil {
		p.eventually("meeting the fault", met)
	}
	if hold := e.hold(p.row.hold); hold > 0 {
		sleep(p.Context(), hold)
	}
	r.dialed, r.ran = p.proxy.Stats().Connections-before, p.ran.Load()-ran
	r.lasted = time.Since(began)
	if mend != nil {
		mend()
	}
	mended := time.Now()
	limit := patience
	if !c.Perdure {
		limit = e.recovery
	}
	recovering, stop := context.WithTimeout(p.Context(), limit)
	defer stop()
	at, ok := w.succeeded(recovering, mended)
	r.recovered = at.Sub(mended)
	if !ok {
		r.recovered = -1
	}

	r.slowest = stopwatch()
	closed = true
	err = finish()
	there := p.effects()
	r.tally = count(w.calls, there, s, p.failedOver)
	r.hung = hung
	if c.Perdure {
		p.judge(r, s, err)
	}
	if r.recovered > e.recovery {
		r.recovered = -1 // the table has one measure for all
	}
	return r
}

// slowMachine is what "select 1" may take for a machine to be fit to judge whether a database is up: a probe, which
// has to connect and log in too, is given half a second.
const slowMachine = 25 * time.Millisecond

// stopwatch asks the server "select 1" past the proxy now and then until the function that it returns is called, which
// returns how long the slowest took. It is for faults during which the server can be reached.
func (p *place) stopwatch() func() time.Duration {
	if p.row.want.database != no {
		return func() time.Duration { return 0 }
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.Context()))
	slowest := make(chan time.Duration, 1)
	go func() {
		var longest time.Duration
		defer func() { slowest <- longest }()
		conn, err := p.dial(ctx)
		if err != nil {
			return
		}
		defer conn.Close(context.WithoutCancel(ctx))
		for ctx.Err() == nil {
			began := time.Now()
			if _, err := conn.Exec(ctx, "select 1"); err != nil {
				return
			}
			longest = max(longest, time.Since(began))
			sleep(ctx, 20*time.Millisecond)
		}
	}()
	return func() time.Duration {
		cancel()
		return <-slowest
	}
}

// warm reports whether each caller has had success with each kind of work n times.
func (w *workload) warm(n int) bool { return w.warmSince(n, time.Time{}) }

// warmSince does so of the work that began after a moment.
func (w *workload) warmSince(n int, after time.Time) bool {
	for _, calls := range w.calls {
		done := map[kind]int{}
		for _, c := range calls {
			if c.err == nil && !c.began.Before(after) {
				done[c.kind]++
			}
		}
		for k := transactions; k <= reads; k <<= 1 {
			if w.kind&k != 0 && done[k] < n {
				return false
			}
		}
	}
	return true
}

func (w *workload) lastError() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, calls := range w.calls {
		for _, c := range calls {
			if c.err != nil {
				err = c.err
			}
		}
	}
	return err
}

// effects returns how often each key is there, once nothing that the subject began can change it any more.
func (p *place) effects() map[int64]int {
	p.Helper()
	p.terminate("true")
	p.eventually("ending the subject's sessions", func() bool {
		return p.ask("select count(*) from pg_stat_activity where usename = '"+role+"'") == 0
	})
	conn := p.connect(p.cluster)
	defer conn.Close(p.Context())
	rows, err := conn.Query(p.Context(), "select key, count(*) from effect group by key")
	p.ended(err)
	there := map[int64]int{}
	var key int64
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		there[key] = n
		return nil
	})
	p.ended(err)
	return there
}

// judge holds perdure to its promise.
func (p *place) judge(r result, s subject.Subject, closing error) {
	p.Helper()
	want := p.row.want
	if closing != nil {
		p.Errorf("closing: %v", closing)
	}
	if !r.clean() {
		p.Errorf("%d lost, %d doubled, %d wrongly reported, want none", r.lost, r.doubled, r.wrong)
	}
	if r.txFailed > 0 && !want.fails {
		p.Errorf("%d transactions failed or are unknown, want none", r.txFailed)
	}
	if n := r.failed + r.unknown - r.txFailed; n > 0 && !want.fails && !want.statements {
		p.Errorf("%d statements failed or are unknown, want none", n)
	}
	if r.readsOff > 0 && !want.fails {
		p.Errorf("%d reads failed, want none", r.readsOff)
	}
	if r.recovered < 0 {
		p.Errorf("not all callers had success within %s after the fault had ended: %v", patience, p.work.lastError())
	}
	g, ok := s.(subject.Guarded)
	if !ok {
		p.Fatalf("%T has no Manager", s)
	}
	p.metrics(g.Manager().Snapshot(), r.slowest)
	if p.Failed() {
		for _, e := range r.examples {
			p.Log(e)
		}
	}
}

// metrics compares what perdure counted with what had to happen.
func (p *place) metrics(s perdure.Snapshot, slowest time.Duration) {
	p.Helper()
	want := p.row.want
	if len(want.states) > 0 && (!want.statesOfPgx || !strings.Contains(p.Name(), "pq")) {
		n := uint64(0)
		for _, state := range want.states {
			n += s.States[state]
		}
		if n == 0 {
			p.Errorf("the snapshot counts %v, want one of %v", s.States, want.states)
		}
	}
	if len(want.categories) > 0 {
		n := uint64(0)
		var all []perdure.ErrorCount
		for _, o := range s.Operations {
			for _, e := range o.Errors {
				all = append(all, e)
				for _, c := range want.categories {
					if e.Category == c {
						n += e.Count
					}
				}
			}
		}
		if n == 0 {
			p.Errorf("the snapshot counts errors %v, want one of %v", all, want.categories)
		}
	}
	for _, resolution := range want.outcomes {
		n := uint64(0)
		for _, o := range s.Outcomes {
			if o.Resolution == resolution {
				n += o.Count
			}
		}
		if n == 0 {
			p.Errorf("the snapshot counts outcomes %v, want one %s", s.Outcomes, resolution)
		}
	}
	switch opened := s.Database.OpenTime > 0; {
	case want.database == yes && !opened:
		p.Error("the breaker of the database has not opened")
	case want.database == no && opened && slowest > slowMachine:
		p.Logf("the breaker of the database has opened, on a machine on which an idle session took %s for select 1", slowest)
	case want.database == no && opened:
		p.Error("the breaker of the database has opened")
	}
	if s.Parked != 0 {
		p.Errorf("%d calls are still parked", s.Parked)
	}
}

// release lets everybody go who still waits for an answer.
func (p *place) release() {
	p.proxy.Resume()
	p.proxy.CutAll(faultproxy.RST)
}
