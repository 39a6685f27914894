package guard

import (
	"context"
	"slices"

	"github.com/avast/retry-go/v5"
)

// RetryContext is avast/retry-go v5.1.1 that stops with its caller: the
// context is an option of the Retrier (comment on retry.Context), which is
// therefore made for each call.
type RetryContext struct{ options []retry.Option }

// Do runs work.
func (r *RetryContext) Do(ctx context.Context, work Work) error {
	return retry.New(append(slices.Clip(r.options), retry.Context(ctx))...).Do(func() error { return work(ctx) })
}

// RetryReused is avast/retry-go with one Retrier for all calls, as its README
// advises for "high-frequency retry operations"; a caller's context then does not end the delays.
type RetryReused struct{ retrier *retry.Retrier }

// Do runs work.
func (r *RetryReused) Do(ctx context.Context, work Work) error {
	return r.retrier.Do(func() error { return work(ctx) })
}

// retryOptions are full jitter on a growing delay (comment on FullJitterBackoffDelay), and the last error alone.
func retryOptions(s Settings) []retry.Option {
	kind := retry.DelayType(retry.FullJitterBackoffDelay)
	if s.Delay == 0 {
		kind = retry.DelayType(retry.FixedDelay)
	}
	return []retry.Option{retry.Attempts(Attempts), retry.Delay(s.Delay), retry.MaxDelay(s.maxDelay()), kind, retry.LastErrorOnly(true)}
}

// NewRetryContext returns naive retries: three attempts for every caller, whatever the others do.
func NewRetryContext(s Settings) *RetryContext { return &RetryContext{retryOptions(s)} }

func newRetryContext(_ context.Context, s Settings) (Guard, func() error, error) {
	return NewRetryContext(s), nothing, nil
}

func newRetryReused(_ context.Context, s Settings) (Guard, func() error, error) {
	return &RetryReused{retry.New(retryOptions(s)...)}, nothing, nil
}
