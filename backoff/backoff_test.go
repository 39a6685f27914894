package backoff

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

func TestCeilingGrowsByItsStrategy(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want []time.Duration // attempts 0, 1, 2, …
	}{
		{"zero value", Config{}, []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 20 * time.Second, 20 * time.Second}},
		{"exponential by 1.5", Config{Initial: 100 * ms, Multiplier: 1.5, Max: time.Second}, []time.Duration{100 * ms, 150 * ms, 225 * ms, 337500 * time.Microsecond}},
		{"exponential by 1 stays", Config{Multiplier: 1}, []time.Duration{50 * ms, 50 * ms, 50 * ms}},
		{"linear", Config{Strategy: Linear, Initial: 10 * ms, Max: 35 * ms}, []time.Duration{10 * ms, 20 * ms, 30 * ms, 35 * ms, 35 * ms}},
		{"constant", Config{Strategy: Constant, Initial: 10 * ms}, []time.Duration{10 * ms, 10 * ms, 10 * ms}},
		{"fibonacci", Config{Strategy: Fibonacci, Initial: 10 * ms, Max: 100 * ms}, []time.Duration{10 * ms, 10 * ms, 20 * ms, 30 * ms, 50 * ms, 80 * ms, 100 * ms, 100 * ms}},
		{"custom is held between 0 and max", Config{Func: func(i int) time.Duration { return time.Duration(i-1) * 15 * time.Second }}, []time.Duration{0, 0, 15 * time.Second, 20 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			var got []time.Duration
			c.cfg.Jitter = NoJitter
			for i := range c.want {
				got = append(got, c.cfg.Ceiling(i))
				if d := c.cfg.Delay(i, rand.Uint64()); d != got[i] {
					t.Errorf("Delay(%d) without jitter = %s, want the ceiling %s", i, d, got[i])
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ceilings (-want +got):\n%s", diff)
			}
			if got := c.cfg.Ceiling(-7); got != c.want[0] {
				t.Errorf("Ceiling(-7) = %s, want that of attempt 0, %s", got, c.want[0])
			}
		})
	}
}

func TestJitterReachesItsEnds(t *testing.T) {
	for _, c := range []struct {
		jitter      Jitter
		least, most time.Duration
	}{
		{"", 0, 50 * ms},
		{FullJitter, 0, 50 * ms},
		{EqualJitter, 25 * ms, 50 * ms},
		{NoJitter, 50 * ms, 50 * ms},
	} {
		cfg := Config{Jitter: c.jitter}
		if least, most := cfg.Delay(0, 0), cfg.Delay(0, math.MaxUint64); least != c.least || most != c.most {
			t.Errorf("jitter %q: delays from %s to %s, want %s to %s", c.jitter, least, most, c.least, c.most)
		}
	}
}

// TestJitterIsUniform is a chi-square test: 10⁵ delays in 100 equal cells. With 99 degrees of freedom the
// statistic is above 148 once in a thousand times; the seed is fixed, so the test does not flake.
func TestJitterIsUniform(t *testing.T) {
	const cells, draws, critical = 100, 100_000, 148.2
	for jitter, least := range map[Jitter]time.Duration{FullJitter: 0, EqualJitter: 500 * ms} {
		rng := rand.New(rand.NewPCG(7, 11))
		cfg := Config{Strategy: Constant, Initial: time.Second, Jitter: jitter}
		var count [cells]float64
		for range draws {
			d := cfg.Delay(3, rng.Uint64())
			count[min(cells-1, int(cells*(d-least)/(time.Second-least)))]++
		}
		chi2 := 0.0
		for _, n := range count {
			chi2 += (n - draws/cells) * (n - draws/cells) / (draws / cells)
		}
		if chi2 > critical {
			t.Errorf("jitter %s: chi-square %.1f over %d cells, want at most %.1f", jitter, chi2, cells, critical)
		}
	}
}

// configs draws valid configurations.
func configs(t *rapid.T) Config {
	initial := rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "initial")
	return Config{
		Strategy:   rapid.SampledFrom([]Strategy{"", Exponential, Linear, Constant, Fibonacci}).Draw(t, "strategy"),
		Initial:    time.Duration(initial),
		Max:        time.Duration(rapid.Int64Range(initial, math.MaxInt64).Draw(t, "max")),
		Multiplier: rapid.Float64Range(1, 1e6).Draw(t, "multiplier"),
		Jitter:     rapid.SampledFrom([]Jitter{"", FullJitter, EqualJitter, NoJitter}).Draw(t, "jitter"),
	}
}

func TestDelaysStayInBoundsForEveryAttempt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := configs(t)
		if err := c.Validate(); err != nil {
			t.Fatalf("Validate() = %v", err)
		}
		i := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, 1_000_000), rapid.IntRange(0, math.MaxInt)).Draw(t, "attempt")
		ceiling := c.Ceiling(i)
		if ceiling < c.Initial || ceiling > c.Max {
			t.Fatalf("Ceiling(%d) = %s, want between %s and %s", i, ceiling, c.Initial, c.Max)
		}
		if i > 0 && c.Ceiling(i-1) > ceiling {
			t.Fatalf("Ceiling(%d) = %s is less than the one before, %s", i, ceiling, c.Ceiling(i-1))
		}
		if d := c.Delay(i, rapid.Uint64().Draw(t, "random")); d < 0 || d > ceiling {
			t.Fatalf("Delay(%d) = %s, want between 0 and %s", i, d, ceiling)
		}
	})
}

func TestNoAttemptOverflows(t *testing.T) {
	for _, s := range []Strategy{Exponential, Linear, Fibonacci} {
		for _, i := range []int{62, 63, 64, 92, 93, 1_000_000, math.MaxInt} {
			for _, c := range []Config{{}, {Max: math.MaxInt64}, {Initial: math.MaxInt64, Max: math.MaxInt64}} {
				c.Strategy = s
				want := c.withDefaults().Max
				if got := c.Ceiling(i); got != want && (s != Linear || i == math.MaxInt) {
					t.Errorf("%s: Ceiling(%d) = %s, want the limit %s", s, i, got, want)
				}
			}
		}
	}
}

func TestDelayDoesNotAllocate(t *testing.T) {
	for _, s := range []Strategy{Exponential, Linear, Constant, Fibonacci} {
		c := Config{Strategy: s}
		if n := testing.AllocsPerRun(100, func() { c.Delay(5, 1<<63) }); n != 0 {
			t.Errorf("%s: Delay allocates %v times, want 0", s, n)
		}
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want []string
	}{
		{"zero value", Config{}, nil},
		{"max below initial", Config{Initial: 50 * ms, Max: 10 * ms}, []string{"max: 10ms is less than initial 50ms"}},
		{"initial above the default max", Config{Initial: time.Minute}, []string{"max: 20s is less than initial 1m0s"}},
		{"custom without a func", Config{Strategy: Custom}, []string{"func: missing, the custom strategy needs one"}},
		{"func without custom", Config{Strategy: Linear, Func: func(int) time.Duration { return 0 }}, []string{"func: set, but strategy is linear, not custom"}},
		{"everything", Config{Strategy: "fast", Initial: -1, Max: -1, Multiplier: 0.5, Jitter: "some"}, []string{
			`strategy: "fast" is not exponential, linear, constant, fibonacci or custom`,
			"initial: -1ns is negative",
			"max: -1ns is negative",
			"multiplier: 0.5 is not a number of at least 1",
			`jitter: "some" is not full, equal or none`,
		}},
		{"not a number", Config{Multiplier: math.NaN()}, []string{"multiplier: NaN is not a number of at least 1"}},
		{"infinite", Config{Multiplier: math.Inf(1)}, []string{"multiplier: +Inf is not a number of at least 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			if err := c.cfg.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOrLaysOneConfigOverAnother(t *testing.T) {
	a := func(int) time.Duration { return 1 }
	b := func(int) time.Duration { return 2 }
	for _, c := range []struct {
		name       string
		top, under Config
		strategy   Strategy
		first      time.Duration
		jitter     Jitter
	}{
		{"nothing over something", Config{}, Config{Strategy: Linear, Initial: ms, Max: time.Second, Multiplier: 3, Jitter: NoJitter}, Linear, ms, NoJitter},
		{"something over nothing", Config{Strategy: Linear, Initial: ms, Jitter: EqualJitter}, Config{}, Linear, ms, EqualJitter},
		{"a func brings its strategy", Config{Func: a}, Config{Strategy: Linear, Initial: ms}, Custom, 1, ""},
		{"a func below brings it too", Config{Initial: ms}, Config{Func: b}, Custom, 2, ""},
		{"the upper func wins", Config{Func: a}, Config{Strategy: Custom, Func: b}, Custom, 1, ""},
		{"a strategy hides a func", Config{Strategy: Constant}, Config{Func: b, Initial: ms}, Constant, ms, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.top.Or(c.under)
			if got.Strategy != c.strategy || got.Ceiling(0) != c.first || got.Jitter != c.jitter {
				t.Errorf("Or = %s from %s, jitter %q; want %s from %s, jitter %q",
					got.Strategy, got.Ceiling(0), got.Jitter, c.strategy, c.first, c.jitter)
			}
			if err := got.Validate(); err != nil {
				t.Errorf("Validate() of the result = %v", err)
			}
		})
	}
}

// A policy was used up by its first call in a peer: three attempts, then one.
func TestPeerFaultP7_AConfigIsNotUsedUp(t *testing.T) {
	c := Config{Strategy: Fibonacci}
	for range 3 {
		for i, want := range []time.Duration{50 * ms, 50 * ms, 100 * ms} {
			if got := c.Ceiling(i); got != want {
				t.Errorf("Ceiling(%d) = %s, want %s each time", i, got, want)
			}
		}
	}
}

// FuzzDelay feeds any configuration, faulty ones too: nothing panics, every
// delay is in [0, Max], and Validate finds what makes no sense.
func FuzzDelay(f *testing.F) {
	f.Add("exponential", int64(50*ms), int64(20*time.Second), 2.0, "full", 3, uint64(1))
	f.Add("fibonacci", int64(-1), int64(math.MaxInt64), math.Inf(1), "equal", math.MaxInt, uint64(math.MaxUint64))
	f.Add("custom", int64(math.MaxInt64), int64(-1), math.NaN(), "x", -1, uint64(0))
	f.Fuzz(func(t *testing.T, strategy string, initial, limit int64, multiplier float64, jitter string, attempt int, random uint64) {
		c := Config{Strategy: Strategy(strategy), Initial: time.Duration(initial), Max: time.Duration(limit), Multiplier: multiplier, Jitter: Jitter(jitter)}
		most := max(0, c.withDefaults().Max)
		d := c.Delay(attempt, random)
		if d < 0 || d > most {
			t.Fatalf("Delay(%d) of %+v = %s, want between 0 and %s", attempt, c, d, most)
		}
		if c.Validate() == nil && c.Ceiling(attempt) < min(c.withDefaults().Initial, most) {
			t.Fatalf("Ceiling(%d) of the valid %+v = %s, want at least initial", attempt, c, c.Ceiling(attempt))
		}
	})
}

func BenchmarkDelay(b *testing.B) {
	var c Config
	b.ReportAllocs()
	for b.Loop() {
		c.Delay(3, 1<<63)
	}
}
