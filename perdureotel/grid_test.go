package perdureotel

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheMiddleOfACellIsNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1<<gridMinExp, 1<<gridMaxExp-1).Draw(t, "d"))
		m := middleOf(cellOf(d))
		if off := float64(m-d) / float64(d); off > 1.0/64 || off < -1.0/64 {
			t.Errorf("%v is taken for %v: %.2f %% off", d, m, 100*off)
		}
	})
}

func TestEveryCellHoldsItsMiddle(t *testing.T) {
	for cell := range gridCells {
		if got := cellOf(middleOf(cell)); got != cell {
			t.Fatalf("the middle of cell %d, %v, falls into cell %d", cell, middleOf(cell), got)
		}
	}
}

func TestTheGridTakesAnyDuration(t *testing.T) {
	for d, want := range map[time.Duration]int{-1: 0, 0: 0, 1<<gridMinExp - 1: 0, 1 << gridMinExp: 1, 1<<63 - 1: gridCells - 1} {
		if got := cellOf(d); got != want {
			t.Errorf("%v falls into cell %d, want %d", d, got, want)
		}
	}
}
