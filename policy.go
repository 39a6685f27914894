package perdure

import (
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// What the zero fields of a Policy mean once nothing else sets them.
const (
	defaultMaxAttempts        = 3
	defaultContentionAttempts = 10
	defaultContentionInitial  = 10 * time.Millisecond
	defaultOverloadInitial    = time.Second
)

// Policy says how an operation is repeated and guarded. It is plain data: it
// is read from YAML, merged, compared and shown. Policies are laid over each
// other field by field, the first that sets a field wins:
//
//	Op.Policy, Config.Policies (exact name, else the longest "prefix.*"), Config.Policy, the defaults
type Policy struct {
	// MaxAttempts is how often the work may be begun in all. Zero means 3, or 10 as long as
	// the attempts fail by contention (a deadlock, a serialization failure, a lock not available);
	// negative means no limit.
	MaxAttempts int `json:"max_attempts,omitempty" yaml:"max_attempts,omitempty"`
	// MaxElapsed is how long after its start a call may still begin a repeat, parked time not
	// counted. Zero or negative means no limit.
	MaxElapsed time.Duration `json:"max_elapsed,omitempty" yaml:"max_elapsed,omitempty"`
	// AttemptTimeout bounds each attempt by a context of its own, at the cost of a microsecond and
	// four allocations. Zero or negative means none.
	AttemptTimeout time.Duration `json:"attempt_timeout,omitempty" yaml:"attempt_timeout,omitempty"`
	// Park is how long, in all, a call may wait for an open breaker, for the retry budget, or, once its
	// attempts are used up, for room on a server or in a pool that is full, instead of failing. Zero or negative means that it does not wait.
	Park time.Duration `json:"park,omitempty" yaml:"park,omitempty"`
	// Backoff is the delay after transient trouble. Zero means full jitter on 50ms·2ⁱ, at most 20s.
	Backoff backoff.Config `json:"backoff,omitzero" yaml:"backoff,omitempty"`
	// Contention is the delay after a deadlock, a serialization failure or a lock that was not
	// available. Zero means full jitter on 10ms·2ⁱ, at most 20s, whatever Backoff is.
	Contention backoff.Config `json:"contention,omitzero" yaml:"contention,omitempty"`
	// Overload is the delay after the server lacked a resource. Zero means full jitter on 1s·2ⁱ, at most 20s, whatever Backoff is.
	Overload backoff.Config `json:"overload,omitzero" yaml:"overload,omitempty"`
	// Breaker configures the operation's own breaker; that of the call which first uses the
	// operation's name counts. Zero means an adaptive breaker.
	Breaker breaker.Config `json:"breaker,omitzero" yaml:"breaker,omitempty"`
	// RetryOn restricts repeats to these categories. Nil means whatever the verdict allows.
	RetryOn []pgerr.Category `json:"retry_on,omitempty" yaml:"retry_on,omitempty"`
}

// Validate returns every fault of p, joined, each with the path of its field,
// or nil.
func (p Policy) Validate() error {
	var f faults
	f.under("backoff", p.Backoff.Or(backoff.Config{}).Validate())
	f.under("contention", p.contention().Validate())
	f.under("overload", p.overload().Validate())
	f.under("breaker", p.Breaker.Validate())
	for i, c := range p.RetryOn {
		if c > pgerr.CategoryRaised {
			f.addf("retry_on[%d]: %d is not a category", i, uint8(c))
		}
	}
	return f.join()
}

func (p Policy) contention() backoff.Config {
	return p.Contention.Or(backoff.Config{Initial: defaultContentionInitial})
}

func (p Policy) overload() backoff.Config {
	return p.Overload.Or(backoff.Config{Initial: defaultOverloadInitial})
}

// or returns p with its zero fields taken from under.
func (p Policy) or(under Policy) Policy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = under.MaxAttempts
	}
	if p.MaxElapsed == 0 {
		p.MaxElapsed = under.MaxElapsed
	}
	if p.AttemptTimeout == 0 {
		p.AttemptTimeout = under.AttemptTimeout
	}
	if p.Park == 0 {
		p.Park = under.Park
	}
	p.Backoff = p.Backoff.Or(under.Backoff)
	p.Contention = p.Contention.Or(under.Contention)
	p.Overload = p.Overload.Or(under.Overload)
	p.Breaker = p.Breaker.Or(under.Breaker)
	if p.RetryOn == nil {
		p.RetryOn = under.RetryOn
	}
	return p
}

// faults gathers what is wrong with a configuration, each fault with its path.
type faults []error

func (f *faults) addf(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// under adds err, or each of the errors that it joins, below path.
func (f *faults) under(path string, err error) {
	if err == nil {
		return
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		f.addf("%s.%w", path, err)
		return
	}
	for _, e := range joined.Unwrap() {
		f.addf("%s.%w", path, e)
	}
}

func (f *faults) join() error { return errors.Join(*f...) }
