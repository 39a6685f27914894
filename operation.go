package perdure

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// maxPolicies bounds the resolved policies that an operation remembers: a
// program that makes a new Policy for each call must not grow the Manager.
const maxPolicies = 16

// operation is what a Manager keeps for one name.
type operation struct {
	name     string
	gate     *gate   // nil: the operation has no breaker
	base     *policy // for calls whose Op has no policy; shared. Nil: names differ, and so do their policies
	policies atomic.Pointer[[]resolved]
	refusals atomic.Pointer[refusals] // nil until a breaker refuses
	stats    stats
}

// resolved is a caller's policy and what it comes to with all others below it.
type resolved struct {
	own  *Policy
	full *policy
}

// policy returns the policy for a call of op.
func (o *operation) policy(own *Policy) (*policy, error) {
	if own == nil || o.base == nil {
		return o.base, nil
	}
	known := o.policies.Load()
	if known != nil {
		for _, r := range *known {
			if r.own == own {
				return r.full, nil
			}
		}
	}
	full, err := o.base.under(own)
	if err != nil {
		return nil, fmt.Errorf("perdure: operation %s: %w", o.name, err)
	}
	var next []resolved
	if known != nil {
		next = *known
	}
	if len(next) < maxPolicies {
		next = append(slices.Clip(next), resolved{own, full})
		o.policies.CompareAndSwap(known, &next) // a call that loses the race resolves again
	}
	return full, nil
}
