package component

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// graph is which components need which, by name.
type graph map[string][]string

// order returns all names so that each comes after those it needs, and of those
// that could come next always the first of the alphabet: it depends on nothing
// but the graph. Otherwise it returns every fault, joined: each name that does
// not exist, and of each knot of components that need each other the shortest
// way round.
func (g graph) order() ([]string, error) {
	faults := g.missing()
	waits := make(map[string]int, len(g)) // needs that are not in the order yet
	needed := make(map[string][]string, len(g))
	var ready []string
	for name, needs := range g {
		for _, n := range slices.Compact(slices.Sorted(slices.Values(needs))) {
			if _, ok := g[n]; ok {
				waits[name]++
				needed[n] = append(needed[n], name)
			}
		}
		if waits[name] == 0 {
			ready = append(ready, name)
		}
	}
	slices.Sort(ready)
	out := make([]string, 0, len(g))
	for len(ready) > 0 {
		next := ready[0]
		ready = ready[1:]
		out = append(out, next)
		for _, name := range needed[next] {
			if waits[name]--; waits[name] == 0 {
				at, _ := slices.BinarySearch(ready, name)
				ready = slices.Insert(ready, at, name)
			}
		}
	}
	if len(out) < len(g) {
		faults = append(faults, g.cycles()...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

// missing returns a fault for each name that is needed and not there.
func (g graph) missing() (faults []error) {
	names := slices.Sorted(maps.Keys(g))
	for _, name := range names {
		for _, n := range slices.Compact(slices.Sorted(slices.Values(g[name]))) {
			if _, ok := g[n]; !ok {
				faults = append(faults, fmt.Errorf("component %s needs %q, which does not exist; %s", name, n, among(n, names)))
			}
		}
	}
	return faults
}

// cycles returns a fault for each knot: a set of components of which each
// needs, through others, every other.
func (g graph) cycles() (faults []error) {
	told := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		if told[name] {
			continue
		}
		way := g.way(name)
		if way == nil {
			continue
		}
		faults = append(faults, fmt.Errorf("components need each other: %s", strings.Join(way, " → ")))
		// The rest of the knot: what name needs, and what needs name.
		for other := range g.reach(name) {
			if g.reach(other)[name] {
				told[other] = true
			}
		}
	}
	return faults
}

// way returns the shortest way from name back to itself, nil if there is none.
func (g graph) way(name string) []string {
	from := map[string]string{}
	queue := []string{name}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range slices.Sorted(slices.Values(g[at])) {
			if next == name {
				way := []string{name}
				for ; at != name; at = from[at] {
					way = append(way, at)
				}
				way = append(way, name)
				slices.Reverse(way)
				return way
			}
			if _, seen := from[next]; !seen {
				from[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// reach returns all that the names need, directly or through others.
func (g graph) reach(names ...string) map[string]bool {
	seen := map[string]bool{}
	stack := slices.Clone(names)
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, next := range g[at] {
			if !seen[next] {
				seen[next] = true
				stack = append(stack, next)
			}
		}
	}
	return seen
}
