package perdure

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

const (
	defaultMaxOperations = 1024
	defaultMaxParked     = 10_000
	defaultManagerName   = "default"
)

// Config configures a [Manager]. The zero Config is the documented default.
type Config struct {
	// Name is the label of the guarded database: 1 to 100 of [A-Za-z0-9._-]. Empty means "default".
	Name string `json:"name,omitempty" yaml:"name,omitempty"`
	// Policy holds for every operation, below Policies and Op.Policy.
	Policy Policy `json:"policy,omitzero" yaml:"policy,omitempty"`
	// Policies holds for operations by name: "stats.refresh" for one, "stats.*" for all that begin
	// with "stats.". The exact name comes before the longest prefix; the two are not laid over each other.
	Policies map[string]Policy `json:"policies,omitempty" yaml:"policies,omitempty"`
	// Database configures the breaker of the database. Zero means an adaptive breaker.
	Database breaker.Config `json:"database,omitzero" yaml:"database,omitempty"`
	// Budget bounds the repeats of all operations together.
	Budget BudgetConfig `json:"budget,omitzero" yaml:"budget,omitempty"`
	// MaxOperations is how many names get statistics and a breaker of their own; calls under further
	// names share the operation "other". Zero means 1,024.
	MaxOperations int `json:"max_operations,omitempty" yaml:"max_operations,omitempty"`
	// MaxParked is how many calls may be parked at a time; a further one fails at once.
	// Zero means 10,000; negative means that none may.
	MaxParked int `json:"max_parked,omitempty" yaml:"max_parked,omitempty"`
	// Classify is asked first for the verdict of an error; false passes it on to perdure's own marks and
	// to pgerr. It must be safe for concurrent use. Nil means none.
	Classify func(error) (pgerr.Verdict, bool) `json:"-" yaml:"-"`
	// Hooks are called with what happens.
	Hooks Hooks `json:"-" yaml:"-"`
	// Logger gets what a person must know and no call can return, such as a probe that fails.
	// Nil means no logging.
	Logger *slog.Logger `json:"-" yaml:"-"`
}

// Validate returns every fault of c, joined, each with the path of its field,
// or nil.
func (c Config) Validate() error {
	var f faults
	if c.Name != "" {
		if err := validName(c.Name); err != nil && !reserved(c.Name) {
			f.addf("name: %w", err)
		}
	}
	common := c.Policy.Validate()
	f.under("policy", common)
	f.under("database", c.Database.Validate())
	f.under("budget", c.Budget.Validate())
	for _, name := range slices.Sorted(maps.Keys(c.Policies)) {
		p := c.Policies[name]
		if common == nil { // what counts is what comes of both
			p = p.or(c.Policy)
		}
		f.policy(name, p)
	}
	if c.MaxOperations < 0 {
		f.addf("max_operations: %d is negative", c.MaxOperations)
	}
	return f.join()
}

// policy adds the faults of one entry of Config.Policies.
func (f *faults) policy(name string, p Policy) {
	stem := strings.TrimSuffix(name, ".*")
	if name == "*" {
		f.addf("policies[%q]: a policy for every operation is config.policy", name)
	} else if strings.Contains(stem, "*") {
		f.addf("policies[%q]: only a trailing .* is a pattern", name)
	} else if err := validName(stem); err != nil {
		f.addf("policies[%q]: %w", name, err)
	}
	err := p.Validate()
	if err == nil {
		return
	}
	var own faults
	own.under("x", err)
	for _, e := range own {
		f.addf("policies[%q]%s", name, strings.TrimPrefix(e.Error(), "x"))
	}
}

func reserved(name string) bool { return name == databaseName || name == otherName }

// withDefaults returns a copy that shares nothing mutable with the caller's.
func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = defaultManagerName
	}
	if c.MaxOperations == 0 {
		c.MaxOperations = defaultMaxOperations
	}
	if c.MaxParked == 0 {
		c.MaxParked = defaultMaxParked
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Policy.RetryOn = slices.Clone(c.Policy.RetryOn)
	c.Policies = maps.Clone(c.Policies)
	for name, p := range c.Policies {
		p.RetryOn = slices.Clone(p.RetryOn)
		c.Policies[name] = p
	}
	return c
}

// errNilManager names the commonest mistake of wiring.
var errNilManager = errors.New("perdure: the Manager is nil: make one with perdure.New")
