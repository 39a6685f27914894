package breaker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/scenario"
)

// own drives one of the package's rules.
type own struct {
	cfg       Config
	det       detector
	successes uint64
}

func newOwn(cfg Config) *own {
	o := &own{cfg: cfg.withDefaults()}
	o.det.start(&o.cfg)
	return o
}

// Call is as scenario.Rule says.
func (o *own) Call(now int64, failed bool) bool {
	if failed {
		return o.det.failure(&o.cfg, now, o.successes, false)
	}
	o.successes++
	return o.det.window != nil && o.det.success(&o.cfg, now, false)
}

// Forget is as scenario.Rule says.
func (o *own) Forget(now int64) { o.det.reset(&o.cfg, now, o.successes, false) }

var contenders = []struct {
	name string
	make func() scenario.Rule
}{
	{"resilience4j default", func() scenario.Rule { return &scenario.LastHundred{} }},
	{"Hystrix-like", func() scenario.Rule { return newOwn(Config{Rule: Rate}) }},
	{"Polly default", func() scenario.Rule {
		return newOwn(Config{Rule: Rate, FailureRate: 0.1, Window: 30 * time.Second, MinCalls: 100})
	}},
	{"5 consecutive failures", func() scenario.Rule { return newOwn(Config{Rule: Consecutive}) }},
	{"perdure", func() scenario.Rule { return newOwn(Config{}) }},
}

// TestDetection prints how fast rules notice trouble, and how often they see it where there is
// none, all on the same streams; and holds the adaptive rule to its bars.
func TestDetection(t *testing.T) {
	onset := []struct{ fail, bar float64 }{{1, 5}, {0.5, 10}, {0.2, 32}, {0.1, 130}}
	healthy := []struct{ fail, bar float64 }{{0.001, 1}, {0.01, 1}, {0.03, 1}, {0.05, 1}}
	var table strings.Builder
	table.WriteString("\nMean calls from the onset of failures to the trip (1 % errors when healthy), and false trips in 10⁶ healthy calls:\n\n")
	table.WriteString("| rule | 100 % fail | 50 % | 20 % | 10 % | false trips at 0.1 % | 1 % | 3 % | 5 % | swinging 1–5 % |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range contenders {
		ours := c.name == "perdure"
		runs, seeds := 60, 1
		if ours {
			runs, seeds = 400, 12
		}
		fmt.Fprintf(&table, "| %s ", c.name)
		for _, o := range onset {
			mean, tripped := scenario.MeanDelay(c.make, o.fail, runs)
			if tripped {
				fmt.Fprintf(&table, "| %.1f ", mean)
			} else {
				table.WriteString("| never ")
			}
			if ours && (mean > o.bar || !tripped) {
				t.Errorf("at %v failures: %.1f calls to trip, want at most %v", o.fail, mean, o.bar)
			}
		}
		for _, h := range healthy {
			got := scenario.FalseTripsIn(1_000_000, c.make, seeds, scenario.Always(h.fail))
			fmt.Fprintf(&table, "| %.2f ", got)
			if ours && got > h.bar {
				t.Errorf("at a healthy %v: %.2f false trips in 10⁶ calls, want at most %v", h.fail, got, h.bar)
			}
		}
		got := scenario.FalseTripsIn(1_000_000, c.make, seeds, scenario.Swing)
		fmt.Fprintf(&table, "| %.2f |\n", got)
		if ours && got > 5 {
			t.Errorf("swinging: %.2f false trips in 10⁶ calls, want at most 5", got)
		}
	}
	t.Log(table.String())
}

func TestDetectionOfAnOutageAtStart(t *testing.T) {
	const runs = 1000
	sum, late := 0, 0
	for run := range runs {
		n, tripped := scenario.NewStream(uint64(run)).UntilTrip(newOwn(Config{}), 10_000, scenario.Always(0.2))
		if !tripped {
			t.Fatalf("run %d: a start into 20 %% failures was learned as healthy", run)
		}
		sum += n
		if n > 100 {
			late++
		}
	}
	t.Logf("start into a 20 %% outage: %.1f calls to trip in the mean, %d of %d starts took more than 100", float64(sum)/runs, late, runs)
	if mean := float64(sum) / runs; mean > 100 || late > runs/100 {
		t.Errorf("a start into 20 %% failures takes %.1f calls to trip and %d of %d take more than 100; want 100 and %d",
			mean, late, runs, runs/100)
	}
}

func TestDetectionOfASlowRamp(t *testing.T) {
	const calls = 10_000
	sum := 0
	for run := range 100 {
		s, r := scenario.NewStream(uint64(run)), newOwn(Config{})
		s.FalseTrips(r, scenario.WarmUp, scenario.Always(0.01))
		n, tripped := s.UntilTrip(r, calls, func(i int) float64 { return 0.01 + 0.39*float64(i)/calls })
		if !tripped {
			t.Fatalf("run %d: a ramp from 1 to 40 %% was learned as healthy", run)
		}
		sum += n
	}
	t.Logf("ramp 1→40 %%: trips at %.1f %% in the mean", 1+39*float64(sum)/100/calls)
}

// TestDetectionDoesNotDependOnTheCallRate holds the bars where the fading of score and baseline counts most.
func TestDetectionDoesNotDependOnTheCallRate(t *testing.T) {
	for _, rate := range []float64{1, 10, 10_000} {
		sum, runs := 0, 200
		for run := range runs {
			s, r := scenario.NewStream(uint64(run)), newOwn(Config{})
			s.Rate = rate
			s.FalseTrips(r, scenario.WarmUp, scenario.Always(0.01))
			n, _ := s.UntilTrip(r, scenario.GiveUp, scenario.Always(0.1))
			sum += n
		}
		if mean := float64(sum) / float64(runs); mean > 130 {
			t.Errorf("at %v calls a second, 10 %% failures: %.1f calls to trip, want at most 130", rate, mean)
		}
		for _, p := range []float64{0.01, 0.05} {
			trips := 0
			for seed := range 4 {
				s, r := scenario.NewStream(uint64(seed)), newOwn(Config{})
				s.Rate = rate
				s.FalseTrips(r, 2*scenario.WarmUp, scenario.Always(p))
				trips += s.FalseTrips(r, 1_000_000, scenario.Always(p))
			}
			if trips > 4 {
				t.Errorf("at %v calls a second, a healthy %v: %d false trips in 4·10⁶ calls, want at most 4", rate, p, trips)
			}
		}
	}
}

// TestDesignHasTheWantedRunLength compares the run length that design computes with a simulated one.
func TestDesignHasTheWantedRunLength(t *testing.T) {
	const want = 100_000
	for _, p0 := range []float64{0.02, 0.03, 0.05, 0.1} {
		climb, limit := design(p0, bad(p0), want)
		rng := rand.New(rand.NewPCG(1, 2))
		const runs = 500
		calls := 0
		for range runs {
			for s := 0; s < limit; calls++ {
				if rng.Float64() < p0 {
					s += climb
				} else {
					s = max(0, s-1)
				}
			}
		}
		// The run length is nearly exponential: its mean over 500 runs is within 15 % but once in thousands.
		// Above it may be more, by the whole step of the limit.
		if mean := float64(calls) / runs; mean < 0.85*want || mean > 1.6*want {
			t.Errorf("design(%v) = climb %d, limit %d: %.0f healthy calls to a trip, want %d", p0, climb, limit, mean, want)
		}
	}
}

// TestAnOutageIsNeverLearned holds a breaker closed through an outage, and trips it through others: what it takes
// for healthy must not rise.
func TestAnOutageIsNeverLearned(t *testing.T) {
	s, o := scenario.NewStream(1), newOwn(Config{})
	s.FalseTrips(o, scenario.WarmUp, scenario.Always(0.01))
	before := o.det.cusum.healthy
	for range 20 { // the score reaches its limit and is not reset, as in a breaker that is held closed
		for range 10_000 {
			s.Next(o, 1)
		}
		for range 1000 {
			s.Next(o, 0.01)
		}
	}
	if after := o.det.cusum.healthy; after > 1.5*before {
		t.Errorf("held closed through outages, the healthy rate rose from %v to %v", before, after)
	}
	for range 20 {
		for !s.Next(o, 0.3) {
		}
		o.Forget(s.Now())
		s.FalseTrips(o, 1000, scenario.Always(0.01))
	}
	if after := o.det.cusum.healthy; after > 2*before {
		t.Errorf("after 20 trips the healthy rate rose from %v to %v", before, after)
	}
}

// TestNothingAboveTenPercentIsHealthy begins in trouble that is too small to trip at once and stays for long.
func TestNothingAboveTenPercentIsHealthy(t *testing.T) {
	s, o := scenario.NewStream(1), newOwn(Config{})
	s.FalseTrips(o, 1_000_000, scenario.Always(0.15))
	if got := o.det.cusum.healthy; got > highestRate {
		t.Errorf("healthy = %v, want at most %v", got, highestRate)
	}
	if n, tripped := s.UntilTrip(o, 1000, scenario.Always(0.5)); !tripped || n > 100 {
		t.Errorf("a worn baseline sees 50 %% failures after %d calls (%v), want at most 100", n, tripped)
	}
}

// TestTheBaselineRisesNoFasterThanItsRate has so many calls a second that evidence alone would lift the baseline at once.
func TestTheBaselineRisesNoFasterThanItsRate(t *testing.T) {
	s, o := scenario.NewStream(1), newOwn(Config{})
	s.FalseTrips(o, scenario.WarmUp, scenario.Always(0.01))
	before := o.det.cusum.healthy
	s.N, s.Rate = s.N*1e6/scenario.CallsPerSecond, 1e6
	s.FalseTrips(o, 500_000, scenario.Always(0.06)) // half a second
	if after := o.det.cusum.healthy; after > 1.5*before || after < 1.2*before {
		t.Errorf("in half a second the healthy rate rose from %v to %v, want it to follow, at most by √2", before, after)
	}
}

// TestAHealthyRecoveryPassesTheRamp counts how often healthy failures end a ramp of 1,000 calls that began with
// half the evidence, and how soon an outage that is not over does.
func TestAHealthyRecoveryPassesTheRamp(t *testing.T) {
	const runs = 2000
	for p, bar := range map[float64]float64{0.01: 0.01, 0.05: 0.01} {
		s, o := scenario.NewStream(1), newOwn(Config{})
		s.FalseTrips(o, 5*scenario.WarmUp, scenario.Always(p))
		reopened := 0
		for range runs {
			o.det.reset(&o.cfg, s.Now(), o.successes, true)
			if _, tripped := s.UntilTrip(o, 1000, scenario.Always(p)); tripped {
				reopened++
			}
		}
		t.Logf("at a healthy %v, %.2f %% of the ramps are ended by chance", p, 100*float64(reopened)/runs)
		if share := float64(reopened) / runs; share > bar {
			t.Errorf("at a healthy %v, %v of the ramps are ended by chance, want at most %v", p, share, bar)
		}
	}
	sum := 0
	for seed := range uint64(runs) {
		s, o := scenario.NewStream(seed), newOwn(Config{})
		s.FalseTrips(o, 1000, scenario.Always(0.01))
		o.det.reset(&o.cfg, s.Now(), o.successes, true)
		n, _ := s.UntilTrip(o, scenario.GiveUp, scenario.Always(0.2))
		sum += n
	}
	t.Logf("a ramp into 20 %% failures ends after %.1f calls", float64(sum)/runs)
	if mean := float64(sum) / runs; mean > 20 {
		t.Errorf("a ramp into 20 %% failures ends after %.1f calls, want at most 20", mean)
	}
}
