package outcome

import (
	"fmt"
	"time"
)

const (
	defaultCommit    = 30 * time.Second
	defaultResolve   = 30 * time.Second
	defaultTwin      = 30 * time.Second
	defaultRetention = 24 * time.Hour
)

// Limits are the times in the configuration of an adapter.
type Limits struct {
	Commit    time.Duration // for the reply to COMMIT
	Resolve   time.Duration // for looking into a doubt
	Twin      time.Duration // for another that holds the key
	Retention time.Duration // of markers
}

// Faults returns what is wrong with l, each with the name of its field.
func (l Limits) Faults() []error {
	var faults []error
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"commit_timeout", l.Commit}, {"resolve_timeout", l.Resolve}, {"twin_timeout", l.Twin}} {
		if d.d < 0 {
			faults = append(faults, fmt.Errorf("%s: %v is negative", d.name, d.d))
		}
	}
	if l.Retention != 0 && l.Retention < MinRetention {
		faults = append(faults, fmt.Errorf("retention: %v is less than %v", l.Retention, MinRetention))
	}
	return faults
}

// WithDefaults returns l with the defaults for zeros.
func (l Limits) WithDefaults() Limits {
	fill := func(d *time.Duration, zero time.Duration) {
		if *d == 0 {
			*d = zero
		}
	}
	fill(&l.Commit, defaultCommit)
	fill(&l.Resolve, defaultResolve)
	fill(&l.Twin, defaultTwin)
	fill(&l.Retention, defaultRetention)
	return l
}
