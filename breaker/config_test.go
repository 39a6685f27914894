package breaker

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidateNamesEveryFault(t *testing.T) {
	err := Config{
		Rule:                "sometimes",
		FalseTripEvery:      10,
		ConsecutiveFailures: -1,
		FailureRate:         math.NaN(),
		Window:              time.Nanosecond,
		MinCalls:            -1,
		SlowCall:            -time.Second,
		SlowCallRate:        1.5,
		OpenFor:             time.Minute,
		MaxOpenFor:          time.Second,
		SuccessThreshold:    math.MaxInt32 + 1,
		ProbeLease:          time.Nanosecond,
		RampFor:             math.MaxInt64,
	}.Validate()
	if err == nil {
		t.Fatal("Validate() = nil for a configuration with thirteen faults")
	}
	want := []string{
		`rule: "sometimes" is not adaptive, consecutive, rate or off`,
		`false_trip_every: 10 is not between 1e3 and 1e12`,
		`failure_rate: NaN is not above 0 and up to 1`,
		`slow_call_rate: 1.5 is not above 0 and up to 1`,
		`consecutive_failures: -1 is not between 1 and 2147483647`,
		`min_calls: -1 is not between 1 and 2147483647`,
		`success_threshold: 2147483648 is not between 1 and 2147483647`,
		`window: 1ns is less than 10ms`,
		`slow_call: -1s is less than 0s`,
		`probe_lease: 1ns is less than 1ms`,
		`max_open_for: 1s is less than open_for 1m0s`,
		`ramp_for: 2562047h47m16.854775807s is more than 8760h0m0s`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if b, err := New(Config{MinCalls: -1}, Options{}); b != nil || err == nil {
		t.Errorf("New with a fault = %v, %v; want nil and the fault", b, err)
	}
}

func TestTheZeroConfigIsTheDefault(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("Validate() of the zero Config = %v", err)
	}
	if diff := cmp.Diff(Config{}.withDefaults(), Config{}.withDefaults().Or(Config{Rule: Off, MinCalls: 1})); diff != "" {
		t.Errorf("Or changed fields that were set:\n%s", diff)
	}
	got := Config{OpenFor: time.Minute}.Or(Config{OpenFor: time.Second, RampFor: -1, Rule: Rate})
	if diff := cmp.Diff(Config{OpenFor: time.Minute, RampFor: -1, Rule: Rate}, got); diff != "" {
		t.Errorf("Or (-want +got):\n%s", diff)
	}
}

func TestWordsForStatesAndHolds(t *testing.T) {
	for s := Closed; s <= Open; s++ {
		var back State
		text, err := json.Marshal(s)
		if err != nil || json.Unmarshal(text, &back) != nil || back != s {
			t.Errorf("%d is %s in JSON and comes back as %d, %v", s, text, back, err)
		}
	}
	for h := NotHeld; h <= HeldClosed; h++ {
		var back Held
		text, err := json.Marshal(h)
		if err != nil || json.Unmarshal(text, &back) != nil || back != h {
			t.Errorf("%d is %s in JSON and comes back as %d, %v", h, text, back, err)
		}
	}
	var s State
	if err := s.UnmarshalText([]byte("ajar")); err == nil {
		t.Error(`UnmarshalText("ajar") = nil, want an error`)
	}
	var h Held
	if err := h.UnmarshalText([]byte("firmly")); err == nil {
		t.Error(`UnmarshalText("firmly") = nil, want an error`)
	}
	if got := State(9).String() + Held(9).String(); got != "invalidinvalid" {
		t.Errorf("unknown states are called %q", got)
	}
	if got := newBreaker(t, Config{}, Options{}).String(); got != "breaker closed, held no" {
		t.Errorf("String() = %q", got)
	}
}
