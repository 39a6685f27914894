package sim_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/bench/sim"
	"github.com/perdure/perdure/internal/scenario"
)

func bubble(t *testing.T) sim.Bubble {
	t.Helper()
	return func(f func(context.Context)) {
		synctest.Test(t, func(t *testing.T) { f(t.Context()) })
	}
}

// TestEveryBreakerTripsAndForgets: at 100 % failures each notices within a known number of calls, and again after it has forgotten.
func TestEveryBreakerTripsAndForgets(t *testing.T) {
	for _, d := range sim.Detectors() {
		t.Run(d.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := d.New()
				if err != nil {
					t.Fatal(err)
				}
				s := scenario.NewStream(1)
				for range 2 {
					if trips := s.FalseTrips(r, 500, scenario.Always(0)); trips != 0 {
						t.Errorf("%d trips without a failure", trips)
					}
					if n, tripped := s.UntilTrip(r, 5000, scenario.Always(1)); !tripped {
						t.Errorf("no trip within %d failures", n)
					}
					r.Forget(s.Now())
				}
			})
		})
	}
}

func TestFixedRulesAreWhatTheirNamesSay(t *testing.T) {
	want := map[string]int{"gobreaker, default (6 in a row)": 6, "failsafe-go, 5 in a row": 5, "resilience4j's default (50 % of 100)": 100}
	got := map[string]int{}
	for _, d := range sim.Detectors() {
		if want[d.Name] == 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			r, err := d.New()
			if err != nil {
				t.Fatal(err)
			}
			got[d.Name], _ = scenario.NewStream(1).UntilTrip(r, 1000, scenario.Always(1))
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failures from the start until the trip (-want +got):\n%s", diff)
	}
}

func TestDetectionIsTheSameEveryTime(t *testing.T) {
	first, err := sim.Detection(bubble(t), 1, 2000)
	if err != nil {
		t.Fatal(err)
	}
	second, err := sim.Detection(bubble(t), 1, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
}

func TestNaiveRepeatsAreTwoForEachCallAndBudgetsAreLess(t *testing.T) {
	callers := []int{50}
	for name, storm := range map[string]scenario.Storm{
		"refused": sim.Refused(2*time.Second, 8*time.Second), "timed out": sim.TimedOut(2*time.Second, 8*time.Second),
	} {
		got, err := sim.Storms(bubble(t), sim.Budgets(), callers, storm)
		if err != nil {
			t.Fatal(err)
		}
		repeats := map[string]float64{}
		for _, s := range got {
			repeats[s.Name] = s.Repeats[0]
		}
		if r := repeats["naive, three attempts"]; r < 1.5 || r > 2 {
			t.Errorf("%s: naive: %.2f repeats for each call, want nearly 2", name, r)
		}
		if r := repeats["perdure, budget alone"]; r == 0 || r > .5 {
			t.Errorf("%s: perdure: %.2f repeats for each call, want some, and few", name, r)
		}
	}
}

func TestBreakersKeepCallsFromTheServer(t *testing.T) {
	got, err := sim.Storms(bubble(t), sim.Wholes(), []int{50}, sim.Refused(2*time.Second, 8*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got {
		if a := s.Attempts[0]; a == 0 || a > .1 {
			t.Errorf("%s: %.3f attempts for each call, want few", s.Name, a)
		}
	}
}
