package perdure

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
)

func TestRegistryFindsWhatWasPut(t *testing.T) {
	var r registry
	const names = 300
	for i := range names {
		if r.get(strconv.Itoa(i)) != nil {
			t.Fatalf("%d is there before it was put", i)
		}
		r.put(&operation{name: strconv.Itoa(i)})
		for j := range i + 1 {
			if o := r.get(strconv.Itoa(j)); o == nil || o.name != strconv.Itoa(j) {
				t.Fatalf("after %d names, get(%d) = %v", i+1, j, o)
			}
		}
	}
	seen := map[string]int{}
	for o := range r.all {
		seen[o.name]++
	}
	if len(seen) != names || len(r.fresh) != 0 {
		t.Errorf("all yields %d names, and %d are still behind the lock; want %d and none", len(seen), len(r.fresh), names)
	}
	for range r.all {
		break
	}
}

func TestRegistryIsSafe(t *testing.T) {
	var r registry
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprint(g, "-", i)
				r.put(&operation{name: name})
				for range 5 {
					if r.get(name) == nil {
						t.Errorf("%s is lost", name)
					}
				}
			}
		})
	}
	wg.Wait()
}
