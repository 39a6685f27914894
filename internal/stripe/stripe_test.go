package stripe

import (
	"runtime"
	"sync"
	"testing"
	"unsafe"
)

func TestNothingIsLostWhateverSplits(t *testing.T) {
	t.Parallel()
	const goroutines, each = 16, 20_000
	var c Counter
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for last := uint64(0); ; {
			n := c.Load()
			if n < last {
				t.Errorf("Load() = %d after %d", n, last)
			}
			last = n
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	})
	for range goroutines {
		wg.Go(func() {
			for range each {
				c.Add()
			}
		})
	}
	wg.Wait()
	close(stop)
	reader.Wait()
	if n := c.Load(); n != goroutines*each {
		t.Errorf("Load() = %d, want %d", n, goroutines*each)
	}
}

func TestACounterThatSplitsGoesOn(t *testing.T) {
	t.Parallel()
	var c Counter
	c.Add()
	c.contended(1) // does not split
	if c.stripes.Load() != nil {
		t.Error("the first failure has split it")
	}
	c.contended(patience)
	c.Add()
	if s := c.stripes.Load(); s == nil || c.base.Load() != 2 || c.Load() != 4 {
		t.Errorf("%d in all, %d of them in the base; want 4 and 2", c.Load(), c.base.Load())
	}
}

func TestGoroutinesHaveDifferentStripes(t *testing.T) {
	t.Parallel()
	const goroutines = 64
	seen := map[int]bool{}
	var mu sync.Mutex
	var all, wg sync.WaitGroup
	all.Add(goroutines)
	for range goroutines {
		wg.Go(func() {
			mine := Mine()
			if mine < 0 || mine >= Count {
				t.Errorf("Mine() = %d", mine)
			}
			mu.Lock()
			seen[mine] = true
			mu.Unlock()
			all.Done()
			all.Wait() // their stacks are all there at the same time
		})
	}
	wg.Wait()
	if len(seen) < Count/2 {
		t.Errorf("%d goroutines share %d stripes of %d", goroutines, len(seen), Count)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(Counter{}); n != 16 {
		t.Errorf("a counter that is not contended takes %d bytes, want 16", n)
	}
	if n := unsafe.Sizeof(stripe{}); n != line {
		t.Errorf("a stripe takes %d bytes, want %d", n, line)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	var c Counter
	c.contended(patience)
	if n := testing.AllocsPerRun(100, c.Add); n != 0 {
		t.Errorf("Add allocates %v times", n)
	}
}
