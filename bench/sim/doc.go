// Package sim puts perdure and its peers into the same simulated trouble. All
// of it is to run on the fake time of testing/synctest, where ten minutes of
// simulated trouble take seconds and nothing depends on the machine.
package sim

import "context"

// Bubble runs f on fake time and returns when f and all goroutines that it started have ended.
type Bubble func(f func(ctx context.Context))
