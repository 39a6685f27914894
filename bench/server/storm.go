package server

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/bench/guard"
	"github.com/perdure/perdure/perdurepgx"
)

// Storm is a load under which a server loses most of its capacity for a while. All fields must be set.
type Storm struct {
	// Slot is the unit in which everything is counted.
	Slot time.Duration
	// Healthy, Trouble and After are how many slots each part takes.
	Healthy, Trouble, After int
	// Timeout ends an attempt.
	Timeout time.Duration
	// Load is the part of the healthy server's capacity that is asked for; Capacity is what is left of it in trouble.
	Load, Capacity float64
	// Cost is how many rounds of a loop the server runs for one statement while it is healthy.
	Cost int
}

// Weathered is how one policy came through a Storm.
type Weathered struct {
	Name string
	// Asked is the number of calls of a slot.
	Asked float64
	// Succeeded and Attempts are the calls that succeeded and the attempts that were begun in each slot, as a part of Asked.
	Succeeded, Attempts []float64
	// Connections is how many were opened after the first slot.
	Connections int
	// Recovered is after how many slots at least nine of ten calls succeeded again, in two slots together; -1 if never.
	Recovered int
}

// stormConnections is the size of the pools: more than the cores can serve.
const stormConnections = 16

const stormSetup = `
	create table if not exists bench_cost (rounds int not null);
	truncate bench_cost;
	create or replace function bench_burn() returns bigint language plpgsql as $$
	declare
		x bigint := 0;
	begin
		for i in 1 .. (select rounds from bench_cost) loop
			x := x + i % 7;
		end loop;
		return x;
	end $$`

const burn = "select bench_burn()"

// attempts counts in slots.
type attempts struct {
	mu    sync.Mutex // guards the fields below
	began time.Time
	slot  time.Duration
	begun []float64
	done  []float64
}

// count counts one more in the slot of some time ago.
func (a *attempts) count(in []float64, ago time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := int((time.Since(a.began) - ago) / a.slot); i >= 0 && i < len(in) {
		in[i]++
	}
}

// policy is one way to repeat what fails in a storm.
type policy struct {
	name string
	// open returns what makes a call and what ends it; begun is called for each attempt, with how long ago it was begun.
	open func(ctx context.Context, url string, s Storm, begun func(ago time.Duration)) (call func(ctx context.Context) error, closed func(), err error)
}

// stormDelay is the first delay of all, perdure's default.
const stormDelay = 50 * time.Millisecond

func policies() []policy {
	return []policy{
		{"perdure", openStormy},
		{"failsafe-go, budget", guarded(guard.NewFailsafeBudget(guard.Settings{Delay: stormDelay}, false))},
		{"naive, three attempts", guarded(guard.NewRetryContext(guard.Settings{Delay: stormDelay}))},
		{"no repeats", guarded(guard.Bare{})},
	}
}

// guarded is a bare pool below a guard.
func guarded(g guard.Guard) func(context.Context, string, Storm, func(time.Duration)) (func(context.Context) error, func(), error) {
	return func(ctx context.Context, url string, s Storm, begun func(time.Duration)) (func(context.Context) error, func(), error) {
		cfg, err := stormPool(url)
		if err != nil {
			return nil, nil, err
		}
		pool, err := pgxpool.NewWithConfig(ctx, cfg)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context) error {
			return g.Do(ctx, func(ctx context.Context) error {
				begun(0)
				ctx, cancel := context.WithTimeout(ctx, s.Timeout)
				defer cancel()
				_, err := pool.Exec(ctx, burn)
				return err
			})
		}, pool.Close, nil
	}
}

// openStormy is perdurepgx with its defaults and a timeout for each attempt.
func openStormy(ctx context.Context, url string, s Storm, begun func(time.Duration)) (func(context.Context) error, func(), error) {
	m, err := perdure.New(perdure.Config{Name: "storm", Hooks: perdure.Hooks{
		AttemptEnd: func(_ context.Context, e perdure.AttemptEvent) { begun(e.Duration) },
	}})
	if err != nil {
		return nil, nil, err
	}
	cfg, err := stormPool(url)
	if err != nil {
		return nil, nil, err
	}
	db, err := perdurepgx.Open(ctx, cfg, m, perdurepgx.Config{})
	if err != nil {
		return nil, nil, err
	}
	op := perdure.Op{Name: "bench.burn", ReadOnly: true, Policy: &perdure.Policy{AttemptTimeout: s.Timeout}}
	return func(ctx context.Context) error {
			_, err := db.Exec(perdure.WithOp(ctx, op), burn)
			return err
		}, func() {
			end(ctx, m)
			db.Close()
		}, nil
}

// end closes m; what was measured is measured.
func end(ctx context.Context, m *perdure.Manager) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = m.Close(ctx)
}

func stormPool(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns, cfg.MinConns = stormConnections, stormConnections
	return cfg, nil
}

// Weather sends every policy through s on the server at url, one after the other.
func Weather(ctx context.Context, url string, s Storm) ([]Weathered, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, stormSetup); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "insert into bench_cost values ($1)", s.Cost); err != nil {
		return nil, err
	}
	capacity, err := s.capacity(ctx, url)
	if err != nil {
		return nil, err
	}
	var out []Weathered
	for _, p := range policies() {
		w, err := s.through(ctx, p, url, conn, s.Load*capacity)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		out = append(out, w)
	}
	return out, nil
}

// capacity is how many statements a slot has room for while the server is healthy.
func (s Storm) capacity(ctx context.Context, url string) (float64, error) {
	cfg, err := stormPool(url)
	if err != nil {
		return 0, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	k := Kind{Name: "capacity", Ways: []Way{{Name: "pgxpool", Do: func(ctx context.Context, _ int) error {
		_, err := pool.Exec(ctx, burn)
		return err
	}}}}
	const rounds = 3
	r, err := Compare(ctx, k, Plan{Callers: 2 * runtime.GOMAXPROCS(0), Rounds: rounds, Turn: s.Slot})
	if err != nil {
		return 0, err
	}
	return r[0].PerSecond * s.Slot.Seconds(), nil
}

// through sends one policy through s, with asked calls in each slot.
func (s Storm) through(ctx context.Context, p policy, url string, admin *pgx.Conn, asked float64) (w Weathered, err error) {
	total := s.Healthy + s.Trouble + s.After
	a := &attempts{slot: s.Slot, begun: make([]float64, total), done: make([]float64, total)}
	call, closed, err := p.open(ctx, url, s, func(ago time.Duration) { a.count(a.begun, ago) })
	if err != nil {
		return Weathered{}, err
	}
	var calls sync.WaitGroup
	defer func() {
		calls.Wait() // also beside an error
		closed()
		_, costErr := admin.Exec(ctx, "update bench_cost set rounds = $1", s.Cost)
		err = errors.Join(err, costErr)
	}()
	if err := warm(ctx, call); err != nil {
		return Weathered{}, err
	}
	before, err := sessions(ctx, admin)
	if err != nil {
		return Weathered{}, err
	}
	a.mu.Lock()
	a.began = time.Now()
	clear(a.begun)
	a.mu.Unlock()
	tick := time.NewTicker(time.Duration(float64(s.Slot) / max(asked, 1)))
	defer tick.Stop()
	troubled, cured := false, false
	sent := 0.0
	for range tick.C {
		elapsed := time.Since(a.began)
		slot := int(elapsed / s.Slot)
		if slot >= total {
			break
		}
		change := 0
		switch {
		case !troubled && slot >= s.Healthy:
			troubled, change = true, int(float64(s.Cost)/s.Capacity)
		case troubled && !cured && slot >= s.Healthy+s.Trouble:
			cured, change = true, s.Cost
		}
		if change > 0 {
			if _, err := admin.Exec(ctx, "update bench_cost set rounds = $1", change); err != nil {
				return Weathered{}, err
			}
		}
		// A ticker that came late has left calls out: they are made up for.
		for ; sent < asked*float64(elapsed)/float64(s.Slot); sent++ {
			calls.Go(func() {
				if call(ctx) == nil {
					a.count(a.done, 0)
				}
			})
		}
	}
	after, err := sessions(ctx, admin)
	if err != nil {
		return Weathered{}, err
	}
	calls.Wait() // what is still under way counts, too
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.done {
		a.done[i] /= asked
		a.begun[i] /= asked
	}
	return Weathered{
		Name: p.name, Asked: asked, Succeeded: a.done, Attempts: a.begun, Connections: max(after-before, 0),
		Recovered: recovered(a.done[s.Healthy+s.Trouble:]),
	}, nil
}

// warm opens the connections of a pool, each of which has done some work then.
func warm(ctx context.Context, call func(context.Context) error) error {
	const each = 5
	faults := make([]error, stormConnections)
	for range each {
		var all sync.WaitGroup
		for i := range faults {
			all.Go(func() { faults[i] = call(ctx) })
		}
		all.Wait()
	}
	return errors.Join(faults...)
}

// recovered returns after how many slots calls succeed again.
func recovered(succeeded []float64) int {
	const enough = .9
	for i := range len(succeeded) - 1 {
		if (succeeded[i]+succeeded[i+1])/2 >= enough {
			return i
		}
	}
	return -1
}

// sessions is how many connections the database has seen.
func sessions(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	err = conn.QueryRow(ctx, "select sessions from pg_stat_database where datname = current_database()").Scan(&n)
	return n, err
}
