package perdureotel

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A grid counts durations in cells that are spaced evenly within each power of
// two, 32 to a power (the log-linear scheme of HdrHistogram, G. Tene), from
// 1.024 µs to 2⁴¹ ns ≈ 37 min. Recording with the real SDK takes longer than
// all the rest of a call that succeeds at once, most of it spent on the
// attributes, which are always the same; so such calls are counted here and
// recorded later, each with the middle of its cell: at most 1.6 % off, since a
// cell is at most 1/32 of its lower bound wide.
type grid [gridCells]atomic.Uint32

const (
	gridMinExp = 10 // below 2¹⁰ ns everything is in cell 0
	gridMaxExp = 41
	gridBits   = 5
	gridCells  = 1 + (gridMaxExp-gridMinExp)<<gridBits
)

// cellOf returns the index of the cell that d falls into. What is beyond the
// last cell is counted there.
func cellOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 1<<gridMinExp {
		return 0
	}
	n = min(n, 1<<gridMaxExp-1)
	exp := bits.Len64(n) - 1
	return 1 + (exp-gridMinExp)<<gridBits + int(n>>(exp-gridBits)&(1<<gridBits-1))
}

// middleOf returns the middle of a cell.
func middleOf(cell int) time.Duration {
	if cell == 0 {
		return 1 << (gridMinExp - 1)
	}
	exp, part := gridMinExp+(cell-1)>>gridBits, (cell-1)&(1<<gridBits-1)
	width := 1 << (exp - gridBits)
	return time.Duration(1<<exp + part*width + width/2)
}

func (g *grid) add(d time.Duration) { g[cellOf(d)].Add(1) }

// drain empties the grid into f, cell by cell. Durations that are added
// meanwhile are drained now or next time.
func (g *grid) drain(f func(d time.Duration, n uint32)) {
	for cell := range g {
		if g[cell].Load() == 0 {
			continue
		}
		if n := g[cell].Swap(0); n > 0 {
			f(middleOf(cell), n)
		}
	}
}
