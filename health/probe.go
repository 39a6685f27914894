package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// probe is a check with what is known of it.
type probe struct {
	check Check

	mu      sync.Mutex // guards the fields below
	result  Result
	running chan struct{} // closed when the run ends; nil while none is under way
	streak  int           // results in a row that differ from result.Status
	toward  Status        // what they are
	began   time.Time     // of the run
	overdue bool          // the run has passed its timeout, and counted as a failure
}

// stale reports whether a new result is due. It is called under mu.
func (p *probe) stale() bool {
	return p.result.At.IsZero() || p.check.Interval < 0 || time.Since(p.result.At) >= p.check.Interval
}

// hangError is the error of a run that has not ended in time.
type hangError struct{ limit time.Duration }

func (e *hangError) Error() string { return fmt.Sprintf("no answer within %v", e.limit) }

// Describe makes it a Describer of the package redact: nothing in it is secret.
func (e *hangError) Describe(func(error) string) string { return e.Error() }

// panicError is the error of a check that panicked.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Unwrap returns the value of the panic if it is an error.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// ask returns a result that is young enough, running the check if need be, and
// waits for it until ctx ends.
func (p *probe) ask(ctx context.Context, h *Health) Result {
	done := p.begin(h)
	if done != nil {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.result.At.IsZero() { // asked, and not answered yet
		return Result{Name: p.check.Name, Status: Fail, Last: Fail, Err: &hangError{p.check.Timeout}, Optional: p.check.Optional}
	}
	return p.result
}

// begin starts a run unless the result is young or a run is under way, and
// returns a channel that is closed when there is a result: at the latest when
// the timeout of the run has passed. It is nil if nothing has to be waited for.
func (p *probe) begin(h *Health) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.overdue: // it is not started again, and goes on failing
		if p.stale() {
			p.note(&hangError{p.check.Timeout}, time.Since(p.began))
		}
		return nil
	case p.running != nil:
		return p.running
	case h.closed || !p.stale():
		return nil
	}
	answered := make(chan struct{})
	p.running, p.began = answered, time.Now()
	h.running.Go(func() { p.run(h.life, answered) })
	return answered
}

// run runs the check once. If it does not end in time, the failure is noted
// then, and whoever waits goes on; the run keeps its place until it ends.
func (p *probe) run(ctx context.Context, answered chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, p.check.Timeout)
	defer cancel()
	result := make(chan error, 1)
	var runs sync.WaitGroup
	runs.Go(func() { result <- call(ctx, p.check.Run) })
	select {
	case err := <-result:
		p.end(err, answered)
		return
	case <-ctx.Done():
	}
	select {
	case err := <-result: // both at once: the answer counts
		p.end(err, answered)
		return
	default:
	}
	p.mu.Lock()
	p.overdue = true
	if !errors.Is(context.Cause(ctx), errClosed) {
		p.note(&hangError{p.check.Timeout}, time.Since(p.began))
	}
	p.mu.Unlock()
	close(answered)
	runs.Wait() // whatever it says now was asked too long ago
	p.mu.Lock()
	p.overdue, p.running = false, nil
	p.mu.Unlock()
}

// end notes the result of a run and lets those who wait for it go on.
func (p *probe) end(err error, answered chan struct{}) {
	p.mu.Lock()
	p.note(err, time.Since(p.began))
	p.running = nil
	p.mu.Unlock()
	close(answered)
}

// call calls run and makes a panic an error.
func call(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
		}
	}()
	return run(ctx)
}

// note takes a result in, damped. It is called under mu.
func (p *probe) note(err error, took time.Duration) {
	now := Pass
	if err != nil {
		now = Fail
		if _, ok := errors.AsType[*warning](err); ok {
			now = Warned
		}
	}
	first := p.result.At.IsZero()
	r := &p.result
	r.Name, r.Optional = p.check.Name, p.check.Optional
	r.Last, r.Err, r.At, r.Took, r.Because = now, err, time.Now(), took, ""
	if !first && now == r.Status {
		p.streak = 0
		return
	}
	// Results on the same side count together: warn, fail, fail are three that are worse.
	if p.streak > 0 && (p.toward > r.Status) != (now > r.Status) {
		p.streak = 0
	}
	p.streak++
	p.toward = now
	need := p.check.Rise
	if now > r.Status {
		need = p.check.Fall
	}
	if first || p.streak >= need {
		r.Status, r.Since, p.streak = now, r.At, 0
	}
}

// kept returns what is known of a check that is not run for now; nothing is if
// it never was.
func (p *probe) kept(because string) Result {
	p.mu.Lock()
	known := !p.result.At.IsZero()
	r := p.result
	p.mu.Unlock()
	if !known {
		return p.suppressed(because)
	}
	return r
}

// suppressed returns the result of a check that means nothing while another
// one fails.
func (p *probe) suppressed(because string) Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.result
	r.Name, r.Optional, r.Status, r.Because, r.Err = p.check.Name, p.check.Optional, Unknown, because, nil
	return r
}
