package perduretemporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure/perdure/pipeline"
)

var (
	// errCanceled is the cause of a task's context when its run was canceled.
	errCanceled = fmt.Errorf("the run was canceled: %w", context.Canceled)
	// errLost is the cause when the server has given the task to another worker, or must have.
	errLost = errors.New("the task is another worker's now")
	// errDraining is the cause when this worker ends.
	errDraining = errors.New("the worker ends")
)

// recorder takes signs of life. A client of Temporal is one.
type recorder interface {
	RecordActivityHeartbeat(ctx context.Context, taskToken []byte, details ...any) error
}

// pulse tells the server that a task is at work and how far it is, and cancels
// its context when the answer is that it should end. The SDK does as much, but
// cancels all tasks when one call takes long, and learns of a cancelation only after four fifths of the timeout.
type pulse struct {
	to      recorder
	token   []byte
	timeout time.Duration

	mu   sync.Mutex // guards the field below
	last beat
}

// progress is what the next sign of life says. It is called by the task.
func (p *pulse) progress(_ pipeline.Task, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = beat{Done: done, Total: total}
}

// run gives signs of life until ctx ends, and ends the task when it must.
func (p *pulse) run(ctx context.Context, end context.CancelCauseFunc) {
	if p.timeout <= 0 {
		return
	}
	each := time.NewTicker(p.timeout / 6)
	defer each.Stop()
	heard := time.Now() // when the server heard of the task last
	for {
		select {
		case <-each.C:
		case <-ctx.Done():
			return
		}
		sent := time.Now()
		err := p.send(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			heard = sent
		case verdict(err) != nil:
			end(verdict(err))
			return
		case time.Since(heard) > p.timeout:
			end(fmt.Errorf("%w: it was not heard of for %v: %w", errLost, p.timeout, err))
			return
		}
	}
}

func (p *pulse) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout/3)
	defer cancel()
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	return p.to.RecordActivityHeartbeat(ctx, p.token, last)
}

// verdict is why a task ends after such an answer, or nil if it does not.
func verdict(err error) error {
	if temporal.IsCanceledError(err) {
		return errCanceled
	}
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone ||
		errors.Is(err, activity.ErrActivityPaused) || errors.Is(err, activity.ErrActivityReset) {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return nil
}
