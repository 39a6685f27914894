package component

import (
	"fmt"
	"slices"
	"strings"
)

// A method of a component is an operation of a Manager under the name
// "component.method", which may have 100 bytes; the name of a component is also
// that of its health check, which may have 63 of [a-z0-9._-].
const (
	maxComponentName = 63
	maxMethodName    = 36
	maxListed        = 12 // names that an error lists
)

// validComponent returns what is wrong with the name of a component, or nil.
func validComponent(name string) error {
	if name == "draining" {
		return fmt.Errorf("name %q is reserved", name)
	}
	return validName(name, maxComponentName, "[a-z0-9._-]", ".")
}

// validMethod returns what is wrong with the name of a method, or nil. It has
// no dot, so that the last one of "component.method" parts the two.
func validMethod(name string) error {
	return validName(name, maxMethodName, "[a-z0-9_-]", "")
}

func validName(name string, most int, want, also string) error {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' && !strings.ContainsRune(also, r)
	}
	if name == "" || len(name) > most || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("name %.70q is not 1 to %d of %s", name, most, want)
	}
	return nil
}

// among says which of the names that there are was probably meant, or lists
// them: "did you mean "features"?" or "there are: a, b, c".
func among(name string, all []string) string {
	if len(all) == 0 {
		return "there is none"
	}
	if best, ok := closest(name, all); ok {
		return fmt.Sprintf("did you mean %q?", best)
	}
	all = slices.Sorted(slices.Values(all))
	if more := len(all) - maxListed; more > 0 {
		return fmt.Sprintf("there are: %s and %d more", strings.Join(all[:maxListed], ", "), more)
	}
	return "there are: " + strings.Join(all, ", ")
}

// closest returns the name of all that is nearest to name, the first of the
// alphabet of several, if it is near enough to be what was meant: a third of
// its letters wrong at most.
func closest(name string, all []string) (best string, ok bool) {
	if len(name) > maxComponentName+maxMethodName {
		return "", false
	}
	least := max(len(name)/3, 1) + 1
	for _, candidate := range slices.Sorted(slices.Values(all)) {
		if strings.EqualFold(candidate, name) {
			return candidate, true
		}
		if d := distance(name, candidate); d < least {
			best, least, ok = candidate, d, true
		}
	}
	return best, ok
}

// distance is the number of bytes to insert, delete or replace that make b of
// a (Levenshtein), with one row of the table at a time.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
