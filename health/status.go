package health

import (
	"errors"
	"time"
)

// Status is how a check, or a program, is.
type Status uint8

// The statuses, from good to bad. Unknown means that a dependency fails.
const (
	Pass Status = iota
	Warned
	Unknown
	Fail
)

// String returns pass, warn, unknown or fail.
func (s Status) String() string {
	switch s {
	case Pass:
		return "pass"
	case Warned:
		return "warn"
	case Unknown:
		return "unknown"
	case Fail:
		return "fail"
	default:
		return "invalid"
	}
}

// MarshalText returns what String does.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Result is what is known of one check.
type Result struct {
	// Name is that of the check.
	Name string
	// Status is the damped status: see Check.Fall and Check.Rise.
	Status Status
	// Because names the dependency that fails, if Status is Unknown.
	Because string
	// Last is the status of the newest run, before damping.
	Last Status
	// Err is the error of the newest run; nil if it passed. It is as the check
	// returned it, and may hold anything.
	Err error
	// At is when the newest run ended, Took how long it took. At is zero if
	// there was none.
	At   time.Time
	Took time.Duration
	// Since is when Status last changed.
	Since time.Time
	// Optional is that of the check.
	Optional bool
}

// away reports whether what the newest run asked about is not there.
func (r Result) away() bool {
	w, ok := errors.AsType[*warning](r.Err)
	return ok && w.away
}

// Age returns how old the result is.
func (r Result) Age() time.Duration {
	if r.At.IsZero() {
		return 0
	}
	return time.Since(r.At)
}

// overall returns the status that results add up to: fail if a check that is
// not optional fails, warn if anything else is wrong, else pass. A check that is
// unknown adds nothing to the one that it is unknown because of.
func overall(results []Result) Status {
	worst := Pass
	for _, r := range results {
		switch {
		case r.Status == Fail && !r.Optional:
			return Fail
		case r.Status == Fail || r.Status == Warned:
			worst = Warned
		}
	}
	return worst
}
