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
