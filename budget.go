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
	// budgetSlots are the slot under way and ten full ones: repeats are counted over all of them, so that the
	// second is never cut short, calls over the ten.
	budgetSlots = 11
	// budgetRecent is a shorter stretch that the ratio holds for as well: when trouble begins, callers that wait
	// call less, and a whole second would lag behind.
	budgetRecent = 3
	// budgetMargin keeps a fifth of the repeats back: how many calls a second has is known only when it is
	// over, and callers that wait for their repeats call less.
	budgetMargin = 0.8
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
func price(v *pgerr.Verdict) float64 {
	if contended(v) {
		return 0
	}
	switch v.Category { //nolint:exhaustive // the rest costs the same
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

// affords reports whether the budget could pay for a repeat now. It is asked
// before the delay, so that nobody sleeps for a repeat that cannot be.
func (b *budget) affords(now time.Duration, price float64) bool {
	return b.charge(now, price, false)
}

// pay takes the price of one repeat that begins now, and reports whether the
// budget had it.
func (b *budget) pay(now time.Duration, price float64) bool {
	return b.charge(now, price, true)
}

func (b *budget) charge(now time.Duration, price float64, take bool) bool {
	if price == 0 || b.cfg.Off {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	repeats, calls := b.last(budgetSlots - 1)
	free := repeats+1 <= b.cfg.Floor
	if !free && (b.coins < price || !b.room(repeats, calls) || !b.room(b.last(budgetRecent))) {
		return false
	}
	if take {
		if !free {
			b.coins -= price
		}
		b.slots[b.slot%budgetSlots].repeats++
		b.paid++
	}
	return true
}

// refuse counts a repeat that could not be paid for when it was due.
func (b *budget) refuse() {
	b.mu.Lock()
	b.refused++
	b.mu.Unlock()
}

// room reports whether one more repeat stays within the ratio.
func (b *budget) room(repeats, calls float64) bool {
	return repeats+1 <= budgetMargin*b.cfg.Ratio*calls
}

// last returns the calls of the last n full slots, and the repeats of these
// and of the slot under way.
func (b *budget) last(n int64) (repeats, calls float64) {
	repeats = b.slots[b.slot%budgetSlots].repeats
	for i := max(b.slot-n, 0); i < b.slot; i++ {
		repeats += b.slots[i%budgetSlots].repeats
		calls += b.slots[i%budgetSlots].calls
	}
	return repeats, calls
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
	passed := min(slot-b.slot, budgetSlots)
	b.slot = slot - passed
	for range passed {
		b.slot++
		b.slots[b.slot%budgetSlots] = struct{ repeats, calls float64 }{}
	}
	share := newCalls * fraction(budgetSlot, elapsed)
	for i := range passed {
		b.slots[(b.slot-i)%budgetSlots].calls += share
		newCalls -= share
	}
	if passed < budgetSlots {
		b.slots[b.slot%budgetSlots].calls += max(newCalls, 0)
	}
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
	Refused uint64  // repeats since the start that could not be paid for when they were due; parked calls pay later
}

func (b *budget) snapshot(now time.Duration) BudgetSnapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	repeats, calls := b.last(budgetSlots - 1)
	s := BudgetSnapshot{Ratio: 1, Coins: b.coins, Paid: b.paid, Refused: b.refused}
	if room := max(b.cfg.Floor, b.cfg.Ratio*calls); room > 0 {
		s.Ratio = max(0, 1-repeats/room)
	}
	return s
}
