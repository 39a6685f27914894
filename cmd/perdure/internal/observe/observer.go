package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure/perdure"
)

// What the zero fields of a Config mean.
const (
	defaultEvents      = 1000
	defaultSubscribers = 64
	defaultOperations  = 64
)

// sampleEvery is how often the Managers are looked at, and how long what happens often is counted before it is told.
const sampleEvery = time.Second

// Config configures an [Observer]. The zero Config watches nothing until Add.
type Config struct {
	// Sources are what to watch from the start. Their names must differ.
	Sources []Source
	// Events is how many events the log keeps. Zero means 1,000.
	Events int
	// MaxSubscribers is how many readers of [Observer.ServeEvents] there may be at a time; a further one
	// is sent away with 503. Zero means 64.
	MaxSubscribers int
	// MaxOperations is of how many operations of each Manager a history is kept: those called last. Zero means 64.
	MaxOperations int
}

// Source is a Manager and, if it has one, its pool of connections.
type Source struct {
	Manager *perdure.Manager
	// Pool is asked once a second. Nil: no pool is shown. [PoolOf] makes one of a *pgxpool.Pool's Stat.
	Pool func() Pool
}

// Observer watches Managers. It is safe for concurrent use. It forgets when the
// process ends.
type Observer struct {
	cfg  Config
	log  *eventLog
	subs subscribers

	mu      sync.Mutex // guards the fields below
	sources map[string]*watched
	running bool
}

// New returns an Observer of cfg.Sources. It starts no goroutine: without Run
// nothing is counted, sampled or told.
func New(cfg Config) (*Observer, error) {
	if cfg.Events < 0 || cfg.MaxSubscribers < 0 || cfg.MaxOperations < 0 {
		return nil, errors.New("observe: events, subscribers and operations must not be negative")
	}
	if cfg.Events == 0 {
		cfg.Events = defaultEvents
	}
	if cfg.MaxSubscribers == 0 {
		cfg.MaxSubscribers = defaultSubscribers
	}
	if cfg.MaxOperations == 0 {
		cfg.MaxOperations = defaultOperations
	}
	o := &Observer{cfg: cfg, log: newEventLog(cfg.Events, time.Now()), sources: map[string]*watched{}}
	o.subs.init(cfg.MaxSubscribers)
	for _, s := range cfg.Sources {
		if _, err := o.Add(s); err != nil {
			o.forget()
			return nil, err
		}
	}
	return o, nil
}

// Add watches another Manager until remove is called. Its name must differ from
// those of the others.
func (o *Observer) Add(s Source) (remove func(), err error) {
	if s.Manager == nil {
		return nil, errors.New("observe: the Manager is nil: make it with perdure.New")
	}
	name := s.Manager.Name()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sources[name] != nil {
		return nil, fmt.Errorf("observe: two Managers are named %q: give each a Config.Name of its own", name)
	}
	w := newWatched(s, o.cfg.MaxOperations, time.Now())
	w.unhook = s.Manager.AddHooks(w.hooks(o.log))
	o.sources[name] = w
	return sync.OnceFunc(func() {
		w.unhook()
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.sources, name)
	}), nil
}

// SetPool shows the pool of a Manager that is watched already, for programs that
// open it later than they begin to watch.
func (o *Observer) SetPool(manager string, pool func() Pool) error {
	o.mu.Lock()
	w := o.sources[manager]
	o.mu.Unlock()
	if w == nil {
		return fmt.Errorf("observe: no Manager named %q is watched", manager)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.source.Pool = pool
	return nil
}

// Run samples the Managers, counts what happens often and tells the readers,
// until ctx ends; then it lets go of the Managers and of the readers, and
// returns nil. An Observer runs once.
func (o *Observer) Run(ctx context.Context) error {
	o.mu.Lock()
	if o.running {
		o.mu.Unlock()
		return errors.New("observe: Run was called twice")
	}
	o.running = true
	o.mu.Unlock()
	defer o.subs.close()
	defer o.forget()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	o.sample(time.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			o.log.flush(now)
			o.sample(now)
		case <-o.log.dirty:
			o.subs.wake()
		}
	}
}

// forget takes the hooks off the Managers.
func (o *Observer) forget() {
	for _, w := range o.watched() {
		w.unhook()
	}
}

// watched returns what is watched, by name.
func (o *Observer) watched() []*watched {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]*watched, 0, len(o.sources))
	for _, w := range o.sources {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *watched) int { return strings.Compare(a.name, b.name) })
	return all
}

func (o *Observer) sample(now time.Time) {
	for _, w := range o.watched() {
		w.sample(now)
	}
}

// Managers returns what is known now of all that is watched, by name. It takes
// fresh snapshots and copies all it returns.
func (o *Observer) Managers() []Manager {
	all := o.watched()
	out := make([]Manager, len(all))
	for i, w := range all {
		out[i] = w.now()
	}
	return out
}

// Events returns the events after since that the log still has, oldest first.
// missed says that there were others: the log has moved on, or since is not of
// this process.
func (o *Observer) Events(since uint64) (events []Event, missed bool) {
	records, missed := o.log.after(since)
	events = make([]Event, len(records))
	for i := range records {
		events[i] = records[i].event()
	}
	return events, missed
}

// LastEvent returns the ID of the last event, from which a reader that has seen
// all goes on.
func (o *Observer) LastEvent() uint64 { return o.log.last() }
