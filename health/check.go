package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Check is one question about the program's health.
type Check struct {
	// Name is 1 to 63 of [a-z0-9._-], and the only check of that name.
	Name string
	// Run answers: nil is pass, an error is fail, and one that [Warn] made is
	// warn. It should return when ctx ends; it is not run again before it does.
	// A panic is a failure.
	Run func(ctx context.Context) error
	// After names the checks without which this one means nothing. While one of
	// them fails, is unknown or is [Away], this one is not run, and is unknown.
	After []string
	// Optional says that the program can do its work while this check fails: a
	// failure is then a warning.
	Optional bool
	// Timeout is how long Run may take; a longer run is a failure. Zero means 1s.
	Timeout time.Duration
	// Interval is how long a result is used before Run is asked again. Zero
	// means 5s; negative means that every request asks again.
	Interval time.Duration
	// Fall is how many results in a row that are worse change the status, Rise
	// how many that are better. Zero means 3 and 1.
	Fall, Rise int
}

const (
	defaultTimeout  = time.Second
	defaultInterval = 5 * time.Second
	defaultFall     = 3
	defaultRise     = 1
	maxNameLen      = 63
	drainingName    = "draining" // of the check that SetDraining answers
)

func (c Check) withDefaults() Check {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Fall == 0 {
		c.Fall = defaultFall
	}
	if c.Rise == 0 {
		c.Rise = defaultRise
	}
	c.After = slices.Clone(c.After)
	return c
}

// validate returns the faults of one check, but for those of its dependencies.
func (c Check) validate() (faults []error) {
	if !validName(c.Name) {
		faults = append(faults, fmt.Errorf("name: %.70q is not 1 to %d of [a-z0-9._-]", c.Name, maxNameLen))
	}
	if c.Name == drainingName {
		faults = append(faults, fmt.Errorf("name: %q is reserved", c.Name))
	}
	if c.Run == nil {
		faults = append(faults, errors.New("run: is nil"))
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("timeout: %v is negative", c.Timeout))
	}
	if c.Fall < 0 {
		faults = append(faults, fmt.Errorf("fall: %d is negative", c.Fall))
	}
	if c.Rise < 0 {
		faults = append(faults, fmt.Errorf("rise: %d is negative", c.Rise))
	}
	return faults
}

func validName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxNameLen
}

// warning is an error that is no failure.
type warning struct {
	err  error
	away bool
}

func (w *warning) Error() string { return w.err.Error() }
func (w *warning) Unwrap() error { return w.err }

// Warn makes err a warning: the check that returns it is all right enough to
// work with, and so are those after it. Warn(nil) is nil.
func Warn(err error) error {
	if err == nil {
		return nil
	}
	return &warning{err: err}
}

// Away makes err a warning too: what the check asks about is not there, and the
// program is all right without it, but the checks after it mean nothing.
// Away(nil) is nil.
func Away(err error) error {
	if err == nil {
		return nil
	}
	return &warning{err: err, away: true}
}
