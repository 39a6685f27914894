package breaker

import (
	"testing"
	"time"
)

func TestAClosedBreakerCostsNoAllocation(t *testing.T) {
	b, err := New(Config{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		p, ok := b.Admit()
		if !ok {
			t.Fatal("a new breaker refused")
		}
		p.Success(time.Millisecond)
	}); n != 0 {
		t.Errorf("Admit and Success allocate %v times, want 0", n)
	}
}
