package perdure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/pgerr"
)

// policy is a Policy with everything below it laid under it, so that nothing
// on the path of a call has to ask what a zero means. It is read-only and
// shared by all operations to which the same configuration applies.
type policy struct {
	Policy

	maker *breaker.Maker
}

// policies are those of a Manager's configuration.
type policies struct {
	cfg    *Config
	common *policy
	named  map[string]*policy // by the keys of Config.Policies
}

func newPolicies(cfg *Config) (policies, error) {
	ps := policies{cfg: cfg, named: make(map[string]*policy, len(cfg.Policies))}
	var err error
	if ps.common, err = complete(cfg.Policy); err != nil {
		return policies{}, err
	}
	for key, p := range cfg.Policies {
		if ps.named[key], err = complete(p.or(cfg.Policy)); err != nil {
			return policies{}, fmt.Errorf("policies[%q]: %w", key, err)
		}
	}
	return ps, nil
}

// complete fills what nothing has set. It fails where two valid policies make
// one that is not, such as an Initial of one above a Max of the other.
func complete(p Policy) (*policy, error) {
	p.Contention = p.contention()
	p.Overload = p.overload()
	if err := p.Validate(); err != nil {
		return nil, err
	}
	maker, err := breaker.NewMaker(p.Breaker)
	if err != nil {
		return nil, err
	}
	return &policy{Policy: p, maker: maker}, nil
}

// of returns the policy of an operation that has none of its own.
func (ps *policies) of(name string) *policy {
	if p, ok := ps.named[name]; ok {
		return p
	}
	if key := ps.cfg.longestPrefix(name); key != "" {
		return ps.named[key]
	}
	return ps.common
}

// resolve returns the policy of a call whose name has no operation of its own.
func (ps *policies) resolve(op *Op) (*policy, error) {
	p := ps.of(op.Name)
	if op.Policy == nil {
		return p, nil
	}
	full, err := p.under(op.Policy)
	if err != nil {
		return nil, fmt.Errorf("perdure: operation %s: %w", op.Name, err)
	}
	return full, nil
}

// under lays p under an operation's own policy.
func (p *policy) under(own *Policy) (*policy, error) {
	full, err := complete(own.or(p.Policy))
	if err != nil {
		if alone := own.Validate(); alone != nil {
			return nil, fmt.Errorf("policy: %w", alone)
		}
		return nil, fmt.Errorf("policy, laid over the Manager's: %w", err)
	}
	full.RetryOn = slices.Clone(full.RetryOn)
	return full, nil
}

// longestPrefix returns the longest key "a.b.*" of Policies that covers name,
// or "".
func (c *Config) longestPrefix(name string) string {
	best := ""
	for key := range c.Policies {
		stem, ok := strings.CutSuffix(key, "*")
		if ok && strings.HasPrefix(name, stem) && len(key) > len(best) {
			best = key
		}
	}
	return best
}

// attempts is how often work may be begun that failed by v; negative means
// without limit.
func (p *policy) attempts(v *pgerr.Verdict) int {
	switch {
	case p.MaxAttempts != 0:
		return p.MaxAttempts
	case contended(v):
		return defaultContentionAttempts
	}
	return defaultMaxAttempts
}

// delays is the sequence of delays for the kind of trouble v tells of.
func (p *policy) delays(v *pgerr.Verdict) *backoff.Config {
	switch {
	case contended(v):
		return &p.Contention
	case overloaded(v):
		return &p.Overload
	}
	return &p.Backoff
}

// allows reports whether the policy's filter lets the category be repeated.
func (p *policy) allows(c pgerr.Category) bool {
	return p.RetryOn == nil || slices.Contains(p.RetryOn, c)
}

// contended: the server took the work back because others held what it wanted;
// repeats do useful work. An error that fn marked itself says nothing of others.
func contended(v *pgerr.Verdict) bool {
	return v.SQLState != "" && (v.Category == pgerr.CategoryTransient || v.Category == pgerr.CategoryLock)
}

// overloaded: the server is there and lacks something that time gives back.
func overloaded(v *pgerr.Verdict) bool { return v.Category == pgerr.CategoryResource }
