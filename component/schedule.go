package component

import "slices"

// each calls do for all of the names, each once those before it (as far as they
// are among the names) have ended, and at most limit at once, in the order of
// names where there is a choice. Once a do has returned false no other is
// begun. each returns when all that were begun have ended.
func each(names []string, before func(name string) []string, limit int, do func(name string) bool) {
	waits := map[string]int{}
	after := map[string][]string{}
	for _, name := range names {
		for _, b := range slices.Compact(slices.Sorted(slices.Values(before(name)))) {
			if slices.Contains(names, b) {
				waits[name]++
				after[b] = append(after[b], name)
			}
		}
	}
	pending := slices.Clone(names)
	type ending struct {
		name string
		ok   bool
	}
	ended := make(chan ending)
	running, going := 0, true
	for {
		for going && running < limit {
			i := slices.IndexFunc(pending, func(name string) bool { return waits[name] == 0 })
			if i < 0 {
				break
			}
			name := pending[i]
			pending = slices.Delete(pending, i, i+1)
			running++
			go func() { ended <- ending{name, do(name)} }()
		}
		if running == 0 {
			return
		}
		e := <-ended
		running--
		going = going && e.ok
		for _, name := range after[e.name] {
			waits[name]--
		}
	}
}
