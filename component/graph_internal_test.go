package component

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawGraph draws a graph of few nodes, so that knots are frequent, with now
// and then a name that does not exist.
func drawGraph(t *rapid.T) graph {
	n := rapid.IntRange(1, 9).Draw(t, "nodes")
	density := rapid.IntRange(1, 12).Draw(t, "density")
	g := graph{}
	for i := range n {
		g[string(rune('a'+i))] = nil
	}
	for _, from := range slices.Sorted(maps.Keys(g)) {
		for _, to := range slices.Sorted(maps.Keys(g)) {
			if rapid.IntRange(0, density).Draw(t, from+to) == 0 {
				g[from] = append(g[from], to)
			}
		}
		if rapid.IntRange(0, 15).Draw(t, from+"?") == 0 {
			g[from] = append(g[from], "nowhere")
		}
	}
	return g
}

// closure is the model: all pairs that a way leads between, by repetition until
// nothing is new.
func closure(g graph) map[[2]string]bool {
	ways := map[[2]string]bool{}
	for from, needs := range g {
		for _, to := range needs {
			ways[[2]string{from, to}] = true
		}
	}
	for before := -1; before != len(ways); {
		before = len(ways)
		for a := range maps.Clone(ways) {
			for b := range maps.Clone(ways) {
				if a[1] == b[0] {
					ways[[2]string{a[0], b[1]}] = true
				}
			}
		}
	}
	return ways
}

func TestOrderAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		ways := closure(g)
		knots := map[string]bool{} // by their members
		missing := 0
		for name, needs := range g {
			for _, n := range needs {
				if _, ok := g[n]; !ok {
					missing++
				}
			}
			if ways[[2]string{name, name}] {
				var members []string
				for other := range g {
					if other == name || ways[[2]string{name, other}] && ways[[2]string{other, name}] {
						members = append(members, other)
					}
				}
				slices.Sort(members)
				knots[strings.Join(members, "")] = true
			}
		}
		order, err := g.order()
		if (err == nil) != (missing == 0 && len(knots) == 0) {
			t.Fatalf("order() = %v for %d missing names and the knots %v", err, missing, knots)
		}
		if err != nil {
			checkFaults(t, g, err, missing, knots)
			return
		}
		if len(order) != len(g) {
			t.Fatalf("order() = %v, want all of %d", order, len(g))
		}
		for from, needs := range g {
			for _, to := range needs {
				if slices.Index(order, to) > slices.Index(order, from) {
					t.Fatalf("order() = %v, but %s needs %s", order, from, to)
				}
			}
		}
		for range 3 { // maps are walked in another order each time
			again, err := maps.Clone(g).order()
			if err != nil || !slices.Equal(again, order) {
				t.Fatalf("order() = %v, then %v, %v", order, again, err)
			}
		}
	})
}

// checkFaults checks that each knot is told once, by a way that is there.
func checkFaults(t *rapid.T, g graph, err error, missing int, knots map[string]bool) {
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != missing+len(knots) {
		t.Fatalf("%d faults, want %d missing names and %d knots:\n%v", len(lines), missing, len(knots), err)
	}
	for _, line := range lines[missing:] {
		_, text, _ := strings.Cut(line, ": ")
		way := strings.Split(text, " → ")
		if len(way) < 2 || way[0] != way[len(way)-1] {
			t.Fatalf("%q is not the way from a component to itself", line)
		}
		for i := range way[1:] {
			if !slices.Contains(g[way[i]], way[i+1]) {
				t.Fatalf("%q: %s does not need %s", line, way[i], way[i+1])
			}
		}
		for knot := range knots {
			if strings.Contains(knot, way[0]) {
				delete(knots, knot)
			}
		}
	}
	if len(knots) > 0 {
		t.Fatalf("nothing is said of the knots %v:\n%v", knots, err)
	}
}

func TestEachRespectsOrderAndBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		names, err := g.order()
		if err != nil {
			return // with knots nothing is begun
		}
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		failing := rapid.SampledFrom(append(names, "")).Draw(t, "failing")
		type change struct {
			name  string
			begin bool
		}
		changes := make(chan change, 2*len(names))
		each(names, func(name string) []string { return g[name] }, limit, func(name string) bool {
			changes <- change{name, true}
			changes <- change{name, false}
			return name != failing
		})
		close(changes)
		running, ended, begun := 0, map[string]bool{}, 0
		for c := range changes {
			if !c.begin {
				running--
				ended[c.name] = true
				continue
			}
			begun++
			if running++; running > limit {
				t.Fatalf("%d at once, want %d", running, limit)
			}
			for _, n := range g[c.name] {
				if !ended[n] || n == failing {
					t.Fatalf("%s began before %s had ended well", c.name, n)
				}
			}
		}
		if failing == "" && begun != len(names) {
			t.Fatalf("%d of %d began", begun, len(names))
		}
	})
}

func TestAmongNamesWhatWasMeant(t *testing.T) {
	many := make([]string, 0, 20)
	for i := range 20 {
		many = append(many, fmt.Sprintf("component-%c", 'a'+i))
	}
	for _, test := range []struct {
		name string
		all  []string
		want string
	}{
		{"databse", []string{"store", "database"}, `did you mean "database"?`},
		{"Database", []string{"store", "database"}, `did you mean "database"?`},
		{"x", []string{"store", "database"}, "there are: database, store"},
		{"x", nil, "there is none"},
		{"x", many, "there are: component-a, component-b, component-c, component-d, component-e, component-f, component-g, " +
			"component-h, component-i, component-j, component-k, component-l and 8 more"},
		{strings.Repeat("x", 1<<20), []string{"database"}, "there are: database"},
	} {
		if diff := cmp.Diff(test.want, among(test.name, test.all)); diff != "" {
			t.Errorf("among(%.20q) (-want +got):\n%s", test.name, diff)
		}
	}
}
