package perdure

import (
	"math"
	"sync"
	"time"

	"github.com/perdure/perdure/pgerr"
)

// What the zero fields of a BudgetConfig mean.
const (
	defaultBudgetRatio = 0.1
	defaultBudgetFloor = 5
)

const (
	budgetLifetime = 10 * time.Second       // of a deposit
	budgetSlot     = 100 * time.Millisecond // of the sliding second
	budgetSlots    = 11                     // the slot under way and ten full ones: the second is never cut short
)

// Prices of a repeat, in successes. What the repeat costs a server in trouble
// decides: a new connection, or another statement that runs into its timeout,
// costs more than another request to a server that is merely busy. (The
// figures are those of the AWS SDKs' standard retry mode: 14 and 5.)
const (
	priceConnection = 14
	priceOverload   = 5
	priceOther      = 1
)

// BudgetConfig bounds the repeats of all operations of a Manager together, so
// that repeats cannot keep a server down that is already in trouble. Two rules
// hold at once:
//
//   - In any second, repeats ≤ max(Floor, Ratio × calls).
//   - Above the floor a repeat is paid from a bucket into which every success puts one coin, which
//     lives for 10 s: 14 coins after a lost connection or a timeout, 5 after overload, 1 otherwise.
//
// Repeats after contention are exempt: their number is bounded, and they do
// useful work.
type BudgetConfig struct {
	// Ratio is how many repeats there may be for each call in any second. Zero means 0.1.
	Ratio float64 `json:"ratio,omitempty" yaml:"ratio,omitempty"`
	// Floor is how many repeats a second are always allowed. Zero means 5; negative means none.
	Floor float64 `json:"floor,omitempty" yaml:"floor,omitempty"`
	// Off lets every repeat pass.
	Off bool `json:"off,omitempty" yaml:"off,omitempty"`
}

// Validate returns every fault of c, joined, or nil.
func (c BudgetConfig) Validate() error {
	var f faults
	if !(c.Ratio >= 0 && c.Ratio <= 1) {
		f.addf("ratio: %v is not between 0 and 1", c.Ratio)
	}
	if math.IsNaN(c.Floor) || math.IsInf(c.Floor, 0) {
		f.addf("floor: %v is not a number of repeats a second", c.Floor)
	}
	return f.join()
}

func (c BudgetConfig) withDefaults() BudgetConfig {
	if c.Ratio == 0 {
		c.Ratio = defaultBudgetRatio
	}
	if c.Floor == 0 {
		c.Floor = defaultBudgetFloor
	}
	c.Floor = max(c.Floor, 0)
	return c
}

// price is what a repeat after v costs; zero: it is exempt.
func price(v pgerr.Verdict) float64 {
	switch v.Category { //nolint:exhaustive // the rest costs the same
	case pgerr.CategoryTransient, pgerr.CategoryLock:
		return 0
	case pgerr.CategoryConnection, pgerr.CategoryShutdown, pgerr.CategoryTimeout, pgerr.CategoryReadOnly:
		return priceConnection
	case pgerr.CategoryResource:
		return priceOverload
	}
	return priceOther
}

// A budget pays for repeats. Nothing on the path of a call that succeeds
// touches it: it reads the Manager's counters when it is asked to pay.
type budget struct {
	cfg    BudgetConfig
	counts func() (successes, calls uint64) // since the start, never falling

	mu        sync.Mutex // guards the fields below
	coins     float64
	at        time.Duration // of the last look at the counters
	successes uint64
	calls     uint64
	slot      int64 // number of the slot under way
	slots     [budgetSlots]struct{ repeats, calls float64 }
	paid      uint64
	refused   uint64
}

// pay takes the price of one repeat at the time now and reports whether the
// budget had it.
func (b *budget) pay(now time.Duration, price float64) bool {
	if price == 0 || b.cfg.Off {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	var repeats, calls float64
	for i := range b.slots {
		repeats += b.slots[i].repeats
		calls += b.slots[i].calls
	}
	switch {
	case repeats+1 <= b.cfg.Floor:
	case repeats+1 <= b.cfg.Ratio*calls && b.coins >= price:
		b.coins -= price
	default:
		b.refused++
		return false
	}
	b.slots[b.slot%budgetSlots].repeats++
	b.paid++
	return true
}

// advance brings the bucket and the sliding second up to now. Between two
// looks the successes and calls count as evenly spread.
func (b *budget) advance(now time.Duration) {
	elapsed := max(now-b.at, 0)
	successes, calls := b.counts()
	newSuccesses := float64(max(successes, b.successes) - b.successes)
	newCalls := float64(max(calls, b.calls) - b.calls)
	b.at, b.successes, b.calls = max(now, b.at), max(successes, b.successes), max(calls, b.calls)

	b.coins *= math.Exp(-elapsed.Seconds() / budgetLifetime.Seconds())
	b.coins += newSuccesses * fraction(budgetLifetime, elapsed)

	slot := int64(b.at / budgetSlot)
	for range min(slot-b.slot, budgetSlots) {
		b.slot++
		b.slots[b.slot%budgetSlots] = struct{ repeats, calls float64 }{}
	}
	b.slot = slot
	b.slots[b.slot%budgetSlots].calls += newCalls * fraction(time.Second, elapsed)
}

// fraction is the share of the time elapsed that lies within the last d.
func fraction(d, elapsed time.Duration) float64 {
	if elapsed <= d {
		return 1
	}
	return float64(d) / float64(elapsed)
}

// BudgetSnapshot is the state of the retry budget at one moment.
type BudgetSnapshot struct {
	Ratio   float64 // of the repeats that the last second still has room for, 0 to 1
	Coins   float64 // in the bucket
	Paid    uint64  // repeats paid for since the start
	Refused uint64  // repeats that could not be paid for since the start
}

func (b *budget) snapshot(now time.Duration) BudgetSnapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	var repeats, calls float64
	for i := range b.slots {
		repeats += b.slots[i].repeats
		calls += b.slots[i].calls
	}
	s := BudgetSnapshot{Ratio: 1, Coins: b.coins, Paid: b.paid, Refused: b.refused}
	if room := max(b.cfg.Floor, b.cfg.Ratio*calls); room > 0 {
		s.Ratio = max(0, 1-repeats/room)
	}
	return s
}
