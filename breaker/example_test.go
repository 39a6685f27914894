package breaker_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure/breaker"
)

func Example() {
	b, err := breaker.New(breaker.Config{}, breaker.Options{
		OnChange: func(c breaker.Change) { fmt.Printf("%s → %s: %s\n", c.From, c.To, c.Reason) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	query := func() error { return errors.New("connection refused") }
	for range 10 {
		permit, ok := b.Admit()
		if !ok {
			fmt.Println("refused")
			break
		}
		began := time.Now()
		if err := query(); err != nil {
			permit.Failure(time.Since(began))
		} else {
			permit.Success(time.Since(began))
		}
	}
	// Output:
	// closed → open: threshold crossed
	// refused
}

// A breaker can be held open while the database is serviced.
func ExampleBreaker_HoldOpen() {
	b, err := breaker.New(breaker.Config{}, breaker.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	b.HoldOpen("upgrade to PostgreSQL 18")
	_, ok := b.Admit()
	fmt.Println(ok, b.Snapshot().Reason)
	b.Release()
	_, ok = b.Admit() // a probe
	fmt.Println(ok, b.State())
	// Output:
	// false upgrade to PostgreSQL 18
	// true half_open
}

func ExampleConfig_Validate() {
	err := breaker.Config{FailureRate: 50, OpenFor: -time.Second}.Validate()
	fmt.Println(err)
	// Output:
	// failure_rate: 50 is not above 0 and up to 1
	// open_for: -1s is less than 1ms
}

// Rules that people know stay available: here five failures without a success
// between them. The adaptive rule, the default, needs no figure.
func ExampleConfig() {
	b, err := breaker.New(breaker.Config{Rule: breaker.Consecutive, ConsecutiveFailures: 5, OpenFor: time.Minute}, breaker.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	failures := 0
	for {
		permit, ok := b.Admit()
		if !ok {
			break
		}
		permit.Failure(time.Millisecond)
		failures++
	}
	fmt.Println(failures, b.State())
	// Output: 5 open
}
