package component

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perdure/perdure"
)

// What the zero fields of a Config mean.
const (
	defaultParallel     = 4
	defaultStartTimeout = time.Minute
	defaultStopTimeout  = 30 * time.Second
	defaultGrace        = time.Second
	defaultMaxBytes     = 16 << 20
	defaultMaxDepth     = 100
)

// Config configures a [Loader].
type Config struct {
	// Factories is what can be loaded, by name.
	Factories []Factory
	// Components is what the program uses. What these need and the list does not
	// have is loaded from the factory of that name, with an empty configuration.
	// Nil means each factory under its own name.
	Components []Spec
	// Manager repeats the methods that are declared Idempotent. Nil means that
	// nothing is repeated.
	Manager *perdure.Manager
	// Hooks are told what happens.
	Hooks Hooks
	// Parallel is how many components are started, or stopped, at once. Zero means 4.
	Parallel int
	// StartTimeout is how long a component may take to be made and started. Zero
	// means 1m; negative means no limit but that of the context.
	StartTimeout time.Duration
	// StopTimeout is how long a component that is stopped waits for its
	// invocations, before it ends their contexts, and then how long its Stop may take.
	// Zero means 30s; negative means no limit but that of the context.
	StopTimeout time.Duration
	// Timeout ends the context of invocations whose method has none of its own.
	// Zero or negative means none: a caller's context may end them.
	Timeout time.Duration
	// Grace is how long a method, a Start or a Stop may take to return once its context
	// has ended, before it is abandoned. Until then its own error, which may say what became of
	// a commit, is waited for. Zero means 1s; negative means none.
	Grace time.Duration
	// MaxInput and MaxOutput are the most bytes of JSON that go into and come out of
	// an invocation. Zero means 16 MiB.
	MaxInput, MaxOutput int
	// MaxDepth is how deep arrays and objects may be nested in either. Zero means 100.
	MaxDepth int
}

// Spec is one component of a program.
type Spec struct {
	// Name is 1 to 63 of [a-z0-9._-]. Empty means that of the factory.
	Name string `json:"name,omitempty"`
	// Factory is the name of the factory. Empty means Name.
	Factory string `json:"factory,omitempty"`
	// Config is the configuration, as JSON. Empty means {}.
	Config json.RawMessage `json:"config,omitempty"`
	// Needs says under which name a component runs that the factory needs under
	// another one: {"database": "warehouse"}. Those that are not in it keep their name.
	Needs map[string]string `json:"needs,omitempty"`
}

func (c Config) withDefaults() Config {
	c.Parallel = or(c.Parallel, defaultParallel)
	c.StartTimeout = or(c.StartTimeout, defaultStartTimeout)
	c.StopTimeout = or(c.StopTimeout, defaultStopTimeout)
	c.Grace = or(c.Grace, defaultGrace)
	c.MaxInput = or(c.MaxInput, defaultMaxBytes)
	c.MaxOutput = or(c.MaxOutput, defaultMaxBytes)
	c.MaxDepth = or(c.MaxDepth, defaultMaxDepth)
	return c
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// validate returns the faults of the settings.
func (c *Config) validate() (faults []error) {
	for _, s := range []struct {
		name  string
		value int
	}{{"parallel", c.Parallel}, {"max input", c.MaxInput}, {"max output", c.MaxOutput}, {"max depth", c.MaxDepth}} {
		if s.value < 0 {
			faults = append(faults, fmt.Errorf("%s: %d is negative", s.name, s.value))
		}
	}
	return faults
}

// units makes a unit of each spec, and of each factory that no spec has the
// name of. It returns all faults of factories and specs.
func (c *Config) units() (map[string]*unit, []error) {
	factories := map[string]*Factory{}
	var faults []error
	for i := range c.Factories {
		f := &c.Factories[i]
		for _, err := range f.validate() {
			faults = append(faults, fmt.Errorf("factory %s: %w", f.Name, err))
		}
		if factories[f.Name] != nil {
			faults = append(faults, fmt.Errorf("factory %s: is there twice", f.Name))
		}
		factories[f.Name] = f
	}
	units := map[string]*unit{}
	for i, s := range c.Components {
		s.Name, s.Factory = or(s.Name, s.Factory), or(s.Factory, s.Name)
		f := factories[s.Factory]
		u, errs := newUnit(s, f)
		if f == nil {
			errs = append(errs, fmt.Errorf("there is no factory %q; %s", s.Factory, among(s.Factory, slices.Collect(maps.Keys(factories)))))
		}
		if err := validComponent(s.Name); err != nil {
			errs = append(errs, err)
		}
		if units[s.Name] != nil {
			errs = append(errs, errors.New("is there twice"))
		}
		for _, err := range errs {
			faults = append(faults, fmt.Errorf("components[%d] %s: %w", i, s.Name, err))
		}
		u.listed = true
		units[s.Name] = u
	}
	for name, f := range factories {
		if units[name] == nil {
			u, _ := newUnit(Spec{Name: name, Factory: name}, f)
			u.listed = c.Components == nil
			units[name] = u
		}
	}
	return units, faults
}
