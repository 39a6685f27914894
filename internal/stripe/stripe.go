// Package stripe spreads what many goroutines count over several cache lines,
// once they have been seen to get into each other's way. Until then a counter is
// as small as one.
//
// It is the scheme of java.util.concurrent's LongAdder (D. Lea): the compare-and-swap
// that fails tells of the contention. There is no name for the processor that a
// goroutine runs on; its stack's address takes the place.
package stripe

import (
	"sync/atomic"
	"unsafe"
)

// Count is the number of stripes.
const Count = 8

const (
	countBits = 3
	// line is what processors fetch at once: two cache lines of 64 bytes.
	line = 128
	// patience: one failed compare-and-swap in so many splits. A counter that is
	// contended now and then stays small.
	patience = 16
)

// Mine returns the stripe of the calling goroutine. It stays the same for as
// long as its stack does not grow.
func Mine() int {
	var here byte
	at := uint64(uintptr(unsafe.Pointer(&here))) >> 11 //nolint:gosec // a number, never again a pointer; the smallest stack has 2 KiB
	return int(at * 0x9E3779B97F4A7C15 >> (64 - countBits))
}

// Splits reports whether the failure to swap a counter that had a value is the
// one that splits it.
func Splits(value uint64) bool { return value%patience == 0 }

// Counter counts. The zero Counter is ready; it must not be copied, and is safe
// for concurrent use.
type Counter struct {
	base    atomic.Uint64
	stripes atomic.Pointer[[Count]stripe]
}

type stripe struct {
	n atomic.Uint64
	_ [line - 8]byte
}

// Add counts one.
func (c *Counter) Add() {
	if s := c.stripes.Load(); s != nil {
		s[Mine()].n.Add(1)
		return
	}
	if n := c.base.Load(); !c.base.CompareAndSwap(n, n+1) {
		c.contended(n)
	}
}

func (c *Counter) contended(n uint64) {
	if !Splits(n) {
		c.base.Add(1)
		return
	}
	c.stripes.CompareAndSwap(nil, new([Count]stripe))
	c.stripes.Load()[Mine()].n.Add(1)
}

// Load returns the count. It never falls, and has everything that was counted
// before Load was called.
func (c *Counter) Load() uint64 {
	n := c.base.Load()
	if s := c.stripes.Load(); s != nil {
		for i := range s {
			n += s[i].n.Load()
		}
	}
	return n
}
