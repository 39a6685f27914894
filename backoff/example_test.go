package backoff_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/perdure/perdure/backoff"
)

func ExampleConfig_Ceiling() {
	var c backoff.Config // the default
	for attempt := range 4 {
		fmt.Println(c.Ceiling(attempt))
	}
	fmt.Println(c.Ceiling(1_000_000))
	// Output:
	// 50ms
	// 100ms
	// 200ms
	// 400ms
	// 20s
}

func ExampleConfig_Delay() {
	c := backoff.Config{Strategy: backoff.Linear, Initial: time.Second, Jitter: backoff.EqualJitter}
	d := c.Delay(2, rand.Uint64())
	fmt.Println(d >= 1500*time.Millisecond && d <= 3*time.Second)
	// Output: true
}

// Delays of your own, held below Max and jittered as any other.
func ExampleConfig_custom() {
	c := backoff.Config{Func: func(attempt int) time.Duration { return time.Duration(attempt*attempt) * time.Second }, Jitter: backoff.NoJitter}
	for attempt := range 6 {
		fmt.Println(c.Delay(attempt, rand.Uint64()))
	}
	// Output:
	// 0s
	// 1s
	// 4s
	// 9s
	// 16s
	// 20s
}

// Configurations are laid over each other: a zero field is the other's.
func ExampleConfig_Or() {
	program := backoff.Config{Initial: 100 * time.Millisecond, Max: 5 * time.Second}
	operation := backoff.Config{Initial: time.Second}
	c := operation.Or(program)
	fmt.Println(c.Initial, c.Max)
	// Output: 1s 5s
}
