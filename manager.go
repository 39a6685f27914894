package perdure

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perdure/perdure/breaker"
)

// Manager guards one database: it admits calls, repeats what may be repeated,
// and keeps breakers, budget and statistics. It is safe for concurrent use and
// must not be copied. It forgets when the process ends, unless Save is called.
type Manager struct {
	cfg        Config
	epoch      time.Time // of the monotonic times below
	policies   policies
	database   *gate
	operations registry
	other      *operation
	slow       slowCounts
	budget     budget
	prober     prober
	hooks      atomic.Pointer[Hooks]
	parked     atomic.Int64
	overflowed atomic.Uint64   // calls that ran as "other"
	life       context.Context // of the prober, not of any call; Close ends it last
	end        context.CancelCauseFunc
	open       context.Context // of whatever waits to begin; Close ends it first
	shut       context.CancelCauseFunc
	closing    atomic.Bool
	background sync.WaitGroup // the prober and the releasers

	mu       sync.Mutex // guards the fields below
	ended    bool       // no goroutine may be started any more
	named    int        // operations with a name of their own
	added    map[int]Hooks
	nextHook int
	restored map[string]breaker.Snapshot // of operations not used yet
	up       chan struct{}               // closed while the database's breaker is not open
	pending  int                         // outcomes that Close waits for
	settled  chan struct{}               // closed when pending falls to zero; nil while nobody waits
	outcomes map[outcomeKey]uint64
}

// New returns a Manager, or every fault of cfg, joined, each with its path. It
// does no I/O and starts no goroutine.
func New(cfg Config) (*Manager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("perdure: %w", err)
	}
	m := &Manager{
		cfg:      cfg.withDefaults(),
		epoch:    time.Now(),
		added:    map[int]Hooks{},
		restored: map[string]breaker.Snapshot{},
		up:       make(chan struct{}),
		outcomes: map[outcomeKey]uint64{},
	}
	m.life, m.end = context.WithCancelCause(context.Background()) //nolint:forbidigo // see Manager.life
	m.open, m.shut = context.WithCancelCause(m.life)
	close(m.up)
	m.hooks.Store(&m.cfg.Hooks)
	m.prober.m = m
	m.prober.attached = make(chan struct{})
	m.budget.cfg = m.cfg.Budget.withDefaults()
	m.budget.counts = m.calls
	maker, err := breaker.NewMaker(m.cfg.Database)
	if err != nil {
		return nil, fmt.Errorf("perdure: database.%w", err)
	}
	m.database = newGate(m, databaseName, maker, m.prober.suspect)
	if m.policies, err = newPolicies(&m.cfg); err != nil {
		return nil, fmt.Errorf("perdure: %w", err)
	}
	m.other = &operation{name: otherName}
	return m, nil
}

// Name returns the label of the guarded database.
func (m *Manager) Name() string { return m.cfg.Name }

// now is the monotonic time since New.
func (m *Manager) now() time.Duration { return time.Since(m.epoch) }

// slowCounts counts what happens off the path of a call that succeeds at once.
type slowCounts struct {
	calls     atomic.Uint64 // begun
	successes atomic.Uint64
	answers   atomic.Uint64 // successes reported to the database's breaker
}

// calls returns how many attempts succeeded and how many calls were begun, to
// the budget. The calls that succeeded at once are the successes of the
// database's breaker less those reported for any other reason, so that the
// path of such a call pays nothing for the budget. (Both fall short by the
// results that the breaker drops as too late.)
func (m *Manager) calls() (successes, calls uint64) {
	answers, all := m.slow.answers.Load(), m.database.breaker.Successes()
	if all > answers {
		calls = all - answers
	}
	return calls + m.slow.successes.Load(), calls + m.slow.calls.Load()
}

// operation finds or makes the operation of that name.
func (m *Manager) operation(op *Op) (*operation, error) {
	if o := m.operations.get(op.Name); o != nil {
		return o, nil
	}
	return m.newOperation(op)
}

// Declare makes m know operations before their first call, so that metrics
// show them from the start. It changes nothing for those that it knows. It
// returns every fault of their names and policies, joined.
func (m *Manager) Declare(ops ...Op) error {
	var f faults
	for i := range ops {
		o, err := m.operation(&ops[i])
		if err == nil && ops[i].Policy != nil && o.base != nil {
			_, err = o.policy(ops[i].Policy)
		}
		if err != nil {
			f = append(f, err)
		}
	}
	return f.join()
}

func (m *Manager) newOperation(op *Op) (*operation, error) {
	if err := validName(op.Name); err != nil {
		return nil, fmt.Errorf("perdure: %w", err)
	}
	if m.full() {
		m.overflowed.Add(1)
		return m.other, nil
	}
	o := &operation{name: op.Name, base: m.policies.of(op.Name)}
	p := o.base
	if op.Policy != nil {
		var err error
		if p, err = o.base.under(op.Policy); err != nil {
			return nil, fmt.Errorf("perdure: operation %s: %w", op.Name, err)
		}
	}
	if p.Breaker.Rule != breaker.Off {
		o.gate = newGate(m, op.Name, p.maker, nil)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.operations.get(op.Name); o != nil {
		return o, nil
	}
	if m.named >= m.cfg.MaxOperations { // another was faster
		m.overflowed.Add(1)
		return m.other, nil
	}
	if s, ok := m.restored[op.Name]; ok && o.gate != nil {
		delete(m.restored, op.Name)
		if err := o.gate.restore(s); err != nil {
			m.cfg.Logger.Warn("saved breaker not restored", slog.String("operation", op.Name), slog.Any("error", err))
		}
	}
	m.named++
	m.operations.put(o)
	return o, nil
}

// full reports whether there is no room for another operation.
func (m *Manager) full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.named >= m.cfg.MaxOperations
}

// Breaker returns the breaker of an operation, or the database's under the
// name "database"; nil if there is none. Use it to hold a breaker open or
// closed, and to release it.
func (m *Manager) Breaker(name string) *breaker.Breaker {
	if name == databaseName {
		return m.database.breaker
	}
	o := m.operations.get(name)
	if o == nil && m.hasRestored(name) {
		o, _ = m.newOperation(&Op{Name: name}) // a saved name is valid
	}
	if o != nil && o.gate != nil {
		return o.gate.breaker
	}
	return nil
}

// hasRestored reports whether name has a saved state that waits for its first
// call.
func (m *Manager) hasRestored(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.restored[name]
	return ok
}

// Close stops admission, releases every parked call (it returns ErrClosed),
// waits until no outcome of a commit is open, ends the prober, and waits until
// all goroutines of the Manager have ended. If ctx ends before, it waits no
// longer, ends the prober and returns the cause of ctx. Calls that were
// admitted go on, without repeats. Close may be called more than once, but not
// by a hook.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closing.Store(true)
	m.mu.Unlock()
	m.shut(ErrClosed)
	var late error
	select {
	case <-m.noOutcomes():
	case <-ctx.Done():
		late = context.Cause(ctx)
	}
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.end(ErrClosed)
	if late != nil {
		return late
	}
	done := make(chan struct{})
	go func() {
		m.background.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// AddHooks adds h to the hooks of the configuration until remove is called.
func (m *Manager) AddHooks(h Hooks) (remove func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.nextHook
	m.nextHook++
	m.added[id] = h
	m.joinHooks()
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.added, id)
		m.joinHooks()
	}
}

// joinHooks is called under mu.
func (m *Manager) joinHooks() {
	all := m.cfg.Hooks
	for _, id := range slices.Sorted(maps.Keys(m.added)) {
		all = JoinHooks(all, m.added[id])
	}
	m.hooks.Store(&all)
}
