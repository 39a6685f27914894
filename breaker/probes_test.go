package breaker

import "testing"

func TestTheLongestLeaseDoesNotOverflow(t *testing.T) {
	p := probes{lost: maxLost}
	if _, ok := p.take(1, int64(longest)); !ok {
		t.Fatal("the first place is taken")
	}
	if got := p.next(1); got <= 1 {
		t.Errorf("a lease of a year, doubled %d times, ends at %d", maxLost, got)
	}
}

func TestSlotNumbersWrapAroundWhatIsReserved(t *testing.T) {
	p := probes{last: rampSlot - 1, successes: 10}
	for range 3 {
		if slot, ok := p.take(0, 1); !ok || slot == 0 || slot == rampSlot {
			t.Errorf("take() = %d, %v; want a number that is not reserved", slot, ok)
		}
	}
}
