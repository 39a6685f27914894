package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// grace is how long running transactions may take to end after a signal.
const grace = 10 * time.Second

// interrupts turns signals into an orderly end: the first one closes stop, so
// that nothing new starts; after grace the context is canceled. The second one
// ends the process at once. The returned function gives the signals back.
func interrupts(ctx context.Context, talk io.Writer) (_ context.Context, stop <-chan struct{}, release func()) {
	return onSignal(ctx, grace, func() {
		say(talk, "\nperdure: interrupted: running transactions end first (at most %v); once more ends it at once", grace)
	})
}

// onSignal is interrupts with another grace; announce is called at the first
// signal.
func onSignal(ctx context.Context, grace time.Duration, announce func()) (_ context.Context, stop <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopping := make(chan struct{})
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-done:
			return
		case <-signals:
		}
		announce()
		close(stopping)
		t := time.NewTimer(grace)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				cancel(errInterrupted)
			case <-signals:
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx, stopping, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		cancel(nil)
	}
}
