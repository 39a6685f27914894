package breaker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/internal/stripe"
)

// Options are what a breaker is given beside its plain data.
type Options struct {
	// OnChange is called after each change, outside locks, one at a time and in
	// order for this breaker. It may call the breaker's methods; changes that
	// it causes are reported after it returns. When several goroutines change
	// the breaker at once, one of them reports for all. It must not block. Nil means nobody is told.
	OnChange func(Change)
	// OnSuspect, if set, makes the breaker confirmed: crossing the threshold
	// calls OnSuspect instead of opening, and the owner answers with Convict or
	// Acquit. Unanswered, it is asked again after five seconds of further failures. A confirmed
	// breaker half-opens only by HalfOpen, never by time. It is called like OnChange.
	OnSuspect func(Evidence)
}

// Breaker is a circuit breaker. It is safe for concurrent use. It forgets when the process ends,
// unless its Snapshot is kept.
type Breaker struct {
	// word is generation<<genShift | flags | state: all that the fast path reads.
	word  atomic.Uint64
	cfg   *Config // with defaults; read-only, shared by all breakers of a Maker
	opts  Options
	epoch time.Time // read-only; times below are monotonic nanoseconds since
	_     [8]byte   // keeps word, which is read, and successes, which is written, on different cache lines

	successes stripe.Counter
	failures  atomic.Uint64 // written under mu
	openUntil atomic.Int64  // written under mu; when Admit may half-open

	mu       sync.Mutex // guards the fields below
	det      detector
	due      int64 // when an open breaker should be probed
	level    uint8 // doublings of OpenFor
	held     Held
	closedAt int64 // when it last closed
	trouble  *trouble
}

// trouble is what a breaker needs only after something has happened to it; a
// healthy one does without.
type trouble struct {
	reason      string // of the last change
	suspected   bool   // OnSuspect was asked
	suspectedAt int64  // and when
	probes      probes
	ramp        ramp
	changed     chan struct{} // closed at the next change of what may be admitted; nil when nobody waits
	queue       []event
	delivering  bool
	history     history
}

const (
	stateMask = 0b0011
	limited   = 0b0100 // Admit must take the slow path
	watched   = 0b1000 // Success must take the slow path
	genShift  = 8
)

// New returns a closed breaker, or every fault of cfg joined.
func New(cfg Config, opts Options) (*Breaker, error) {
	k, err := NewMaker(cfg)
	if err != nil {
		return nil, err
	}
	return k.New(opts), nil
}

// Maker makes breakers that share one configuration: whoever keeps thousands
// of them keeps it once. It is safe for concurrent use.
type Maker struct{ cfg Config }

// NewMaker returns a Maker, or every fault of cfg joined.
func NewMaker(cfg Config) (*Maker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Maker{cfg: cfg.withDefaults()}, nil
}

// New returns a closed breaker.
func (k *Maker) New(opts Options) *Breaker {
	b := &Breaker{cfg: &k.cfg, opts: opts, epoch: time.Now()}
	b.det.start(b.cfg)
	b.word.Store(1<<genShift | b.flags(Closed, false))
	return b
}

// Admit asks whether a call may pass now. If it may, the call's end must be
// reported by exactly one of the Permit's methods, once. A refusal of an open breaker takes no lock
// and allocates nothing.
func (b *Breaker) Admit() (Permit, bool) {
	w := b.word.Load()
	if w&limited == 0 {
		return Permit{b: b, word: w}, true
	}
	if State(w&stateMask) == Open {
		// Time alone ends no hold and no confirmed opening: only where it may end is the clock read.
		if until := b.openUntil.Load(); until == math.MaxInt64 || b.now() < until {
			return Permit{}, false
		}
	}
	return b.admitLimited()
}

func (b *Breaker) admitLimited() (Permit, bool) {
	b.mu.Lock()
	defer b.unlock()
	now := b.now()
	if b.State() == Open {
		if now < b.openUntil.Load() {
			return Permit{}, false
		}
		b.halfOpen(now, ReasonDue)
	}
	switch b.State() {
	case HalfOpen:
		slot, ok := b.trouble.probes.take(now, int64(b.cfg.ProbeLease))
		return Permit{b: b, word: b.word.Load(), slot: slot}, ok
	case Closed:
		b.endRamp(now)
		if b.word.Load()&limited == 0 {
			return Permit{b: b, word: b.word.Load()}, true
		}
		ok := b.trouble.ramp.take(now)
		return Permit{b: b, word: b.word.Load(), slot: rampSlot}, ok
	case Open:
	}
	return Permit{}, false
}

// State returns whether calls may pass. A breaker whose time to be open is
// over stays open until somebody asks for admission.
func (b *Breaker) State() State { return State(b.word.Load() & stateMask) }

// Held returns whether a person holds the breaker.
func (b *Breaker) Held() Held {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// Successes returns how many successes were counted since New. It costs an atomic load or two; some more when
// many processors have counted at the same time.
func (b *Breaker) Successes() uint64 { return b.successes.Load() }

// Failures returns how many failures were counted since New. It costs one atomic load.
func (b *Breaker) Failures() uint64 { return b.failures.Load() }

// NextProbe returns when an open breaker is due to be probed, and the zero time if it is not open or
// is held open. An unconfirmed breaker admits a call then; for a confirmed one it is advice to the prober.
func (b *Breaker) NextProbe() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.State() != Open || b.held != NotHeld {
		return time.Time{}
	}
	return b.at(b.due)
}

// String describes the breaker for a log line.
func (b *Breaker) String() string {
	return fmt.Sprintf("breaker %s, held %s", b.State(), b.Held())
}

// now reads the monotonic clock only: half the cost of time.Now.
func (b *Breaker) now() int64 { return int64(time.Since(b.epoch)) }

func (b *Breaker) at(ns int64) time.Time { return b.epoch.Add(time.Duration(ns)) }

// flags returns the low bits of word for a state.
func (b *Breaker) flags(s State, ramping bool) uint64 {
	w := uint64(s)
	if s != Closed || ramping {
		w |= limited | watched
	}
	if b.det.window != nil {
		w |= watched
	}
	return w
}

// jittered returns 75 to 100 % of d, so that breakers that opened together do not probe together.
func jittered(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/4+1)) //nolint:gosec // jitter is no secret
}
