package perdure

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/perdure/perdure/pgerr"
)

// wait waits as long as it takes before the next attempt, and reports why
// there is none; reasonNone if there is.
func (c *call) wait(ctx context.Context, after time.Duration) Reason {
	if c.lostToOutage(ctx) {
		// The attempt was lost with the database and is not counted. Admission parks the call. Work that
		// kills the server itself loses every attempt so: such attempts are paced and few.
		c.free++
		if c.free == 1 {
			return reasonNone
		}
		return c.sleep(ctx, c.p.Backoff.Delay(c.free-1, rand.Uint64())) //nolint:gosec // jitter is no secret
	}
	used := c.n - c.free
	limit := c.p.attempts(&c.verdict)
	exhausted := limit > 0 && used >= limit // from now on delays are time in which the call is parked
	if exhausted && !c.mayWaitForRoom(ctx) {
		return ReasonExhausted
	}
	elapsed := c.at - c.start - c.parked
	delay := max(c.p.delays(&c.verdict).Delay(used-1, rand.Uint64()), after) //nolint:gosec // jitter is no secret
	if exhausted {
		delay = min(delay, c.p.Park-c.parked)
	} else if c.p.MaxElapsed > 0 && delay > c.p.MaxElapsed-elapsed {
		return ReasonElapsed
	}
	if deadline, ok := ctx.Deadline(); ok { // a wait that cannot end in time is not begun
		usual, _ := c.o.stats.first.quantile(0.5)
		if time.Until(deadline)-usual < delay {
			return ReasonDeadline
		}
	}
	cost := price(&c.verdict)
	spent := !c.m.budget.affords(c.at, cost)
	if spent && !c.parks(ctx, cost) {
		return ReasonBudget
	}
	if exhausted {
		if reason := c.waitForRoom(ctx, delay); reason != reasonNone {
			return reason
		}
	} else if delay > 0 {
		c.o.stats.troubled().delay(delay)
		if reason := c.sleep(ctx, delay); reason != reasonNone {
			return reason
		}
	}
	if c.m.budget.pay(c.at, cost) {
		return reasonNone
	}
	if !spent && !c.parks(ctx, cost) {
		return ReasonBudget
	}
	return c.waitForBudget(ctx, cost)
}

// maxFree bounds the attempts that an outage may cost a call for nothing.
const maxFree = 20

// lostToOutage reports whether a call that may park lost its attempt because
// the database is away. Work inside an attempt that holds a permit already
// cannot park, and pays for its repeats.
func (c *call) lostToOutage(ctx context.Context) bool {
	if c.verdict.Trips != pgerr.ScopeDatabase || c.p.Park <= c.parked || c.free >= maxFree || c.covered(ctx, c.m.database) {
		return false
	}
	if c.p.MaxElapsed > 0 && c.at-c.start-c.parked > c.p.MaxElapsed {
		return false
	}
	down := c.m.prober.down(ctx)
	c.at = c.m.now()
	return down
}

// mayWaitForRoom reports whether a call whose attempts are used up may park: the
// server, or the pool, had no room for it, and nothing of it was done. That does
// not open the database's breaker, for which it could wait.
func (c *call) mayWaitForRoom(ctx context.Context) bool {
	v := &c.verdict
	return v.Retry == pgerr.RetryWait && v.Effect == pgerr.EffectNone && v.Trips != pgerr.ScopeDatabase &&
		c.p.Park > c.parked && !c.covered(ctx, c.m.database)
}

// waitForRoom parks the call for delay.
func (c *call) waitForRoom(ctx context.Context, delay time.Duration) Reason {
	if !c.m.mayPark() {
		return ReasonExhausted
	}
	defer c.m.parked.Add(-1)
	began := c.at
	c.tellParked(ctx, "room", 0)
	reason := c.sleep(ctx, delay)
	waited := c.at - began
	c.parked += waited
	c.o.stats.troubled().park(waited)
	c.tellReleased(ctx, "room", waited)
	return reason
}

// parks tells that the budget is spent, and reports whether the call may wait
// for it.
func (c *call) parks(ctx context.Context, cost float64) bool {
	c.m.budget.refuse()
	waits := c.p.Park > c.parked
	if h := c.m.hooks.Load().BudgetSpent; h != nil {
		h(ctx, BudgetEvent{Op: c.op.Name, Attempt: c.n, Price: cost, Waits: waits, CorrelationID: c.correlation(ctx)})
	}
	return waits
}

// How often a call that waits for the budget asks it: at random within steps
// that grow.
const (
	budgetFirstPause = 50 * time.Millisecond
	budgetLastPause  = time.Second
)

// waitForBudget parks the call until the budget can pay for the next attempt;
// that keeps the budget's bound and loses no batch work.
func (c *call) waitForBudget(ctx context.Context, cost float64) Reason {
	if !c.m.mayPark() {
		return ReasonBudget
	}
	defer c.m.parked.Add(-1)
	began := c.at
	c.tellParked(ctx, "budget", 0)
	reason := ReasonBudget
	for step := budgetFirstPause; reason == ReasonBudget; step = min(2*step, budgetLastPause) {
		left := c.p.Park - c.parked - (c.at - began)
		if left <= 0 {
			break
		}
		if reason = c.sleep(ctx, min(step/2+rand.N(step), left)); reason == reasonNone && !c.m.budget.pay(c.at, cost) { //nolint:gosec // jitter is no secret
			reason = ReasonBudget
		}
	}
	waited := c.at - began
	c.parked += waited
	c.o.stats.troubled().park(waited)
	c.tellReleased(ctx, "budget", waited)
	return reason
}

// sleep waits for d; the end of the caller's context or of the Manager ends it.
func (c *call) sleep(ctx context.Context, d time.Duration) Reason {
	if d <= 0 {
		return reasonNone
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	defer func() { c.at = c.m.now() }()
	select {
	case <-timer.C:
		return reasonNone
	case <-ctx.Done():
	case <-c.m.open.Done():
	}
	return ReasonCanceled
}
