package pgerr

import (
	"encoding/csv"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// csvEntries reads the table's source by itself, not through the generator, so
// that the two check each other.
func csvEntries(t *testing.T) []Entry {
	t.Helper()
	f, err := os.Open("sqlstate.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var entries []Entry
	for _, r := range records[1:] {
		e := Entry{SQLState: r[0], Condition: r[1], MessageSafe: r[7] == "yes", Why: r[8]}
		if r[5] == "yes" {
			e.Effect = EffectUnknown
		}
		for i, to := range []interface{ UnmarshalText([]byte) error }{2: &e.Category, 3: &e.Severity, 4: &e.Retry, 6: &e.Trips} {
			if to == nil {
				continue
			}
			if err := to.UnmarshalText([]byte(r[i])); err != nil {
				t.Fatalf("%s: %v", r[0], err)
			}
		}
		entries = append(entries, e)
	}
	return entries
}

func TestTableAndCSVAgree(t *testing.T) {
	want := csvEntries(t)
	if diff := cmp.Diff(want, slices.Collect(All())); diff != "" {
		t.Errorf("All() differs from sqlstate.csv (-want +got):\n%s", diff)
	}
	if len(want) != 263 {
		t.Errorf("sqlstate.csv has %d codes, want the 263 of PostgreSQL 15 to 18", len(want))
	}
	for _, e := range want {
		got, ok := Lookup(e.SQLState)
		if !ok || got != e {
			t.Errorf("Lookup(%s) = %+v, %t; want %+v", e.SQLState, got, ok, e)
		}
		if got := ClassifyFields(Fields{SQLState: e.SQLState}); got != e.Verdict() {
			t.Errorf("ClassifyFields(%s) = %+v, want the table's %+v", e.SQLState, got, e.Verdict())
		}
	}
}

func TestAllStopsWhenTheCallerDoes(t *testing.T) {
	n := 0
	for range All() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("All yielded %d entries, want 3", n)
	}
}

func TestLookupFindsOnlyCodesOfTheTable(t *testing.T) {
	known := map[string]bool{}
	for e := range All() {
		known[e.SQLState] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.OneOf(rapid.StringMatching(`[0-9A-Z]{5}`), rapid.String()).Draw(t, "code")
		if e, ok := Lookup(code); ok != known[code] || (ok && e.SQLState != code) {
			t.Fatalf("Lookup(%q) = %q, %t; want %t", code, e.SQLState, ok, known[code])
		}
	})
}

// Whatever the table may come to say, these must hold of every line.
func TestTableKeepsTheRules(t *testing.T) {
	for e := range All() {
		if e.Effect == EffectUnknown && (e.Retry == RetryStatement || e.Retry == RetryWait) {
			t.Errorf("%s: effect unknown, yet retry %v claims that nothing ran", e.SQLState, e.Retry)
		}
		if e.Trips == ScopeDatabase && !slices.Contains([]Category{CategoryConnection, CategoryShutdown, CategoryReadOnly}, e.Category) {
			t.Errorf("%s: category %v trips the database breaker", e.SQLState, e.Category)
		}
		if c := e.Category; (c == CategoryConstraint || c == CategorySyntax || c == CategoryData || c == CategoryRaised) && e.Retry != RetryNever {
			t.Errorf("%s: %v, yet retry %v: the same work fails the same way", e.SQLState, c, e.Retry)
		}
	}
}

// The codes on which the decision matters most, and on which libraries differ.
// They are spelled out here so that a slip in the CSV does not pass unseen.
func TestVerdictsThatNobodyMayChangeUnawares(t *testing.T) {
	tests := []Verdict{
		{"40001", CategoryTransient, SeverityMedium, RetryTransaction, EffectNone, ScopeNone},
		{"40P01", CategoryTransient, SeverityMedium, RetryTransaction, EffectNone, ScopeNone},
		{"40003", CategoryTransient, SeverityCritical, RetryNever, EffectUnknown, ScopeNone},
		{"08007", CategoryConnection, SeverityCritical, RetryNever, EffectUnknown, ScopeDatabase},
		{"08006", CategoryConnection, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase},
		{"57P01", CategoryShutdown, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase},
		{"57P02", CategoryShutdown, SeverityCritical, RetryReconnect, EffectUnknown, ScopeDatabase},
		{"57P03", CategoryShutdown, SeverityHigh, RetryWait, EffectNone, ScopeDatabase},
		{"57P05", CategoryTimeout, SeverityLow, RetryReconnect, EffectNone, ScopeNone},
		{"57014", CategoryTimeout, SeverityMedium, RetryStatement, EffectNone, ScopeOperation},
		{"55P03", CategoryLock, SeverityLow, RetryTransaction, EffectNone, ScopeOperation},
		{"53300", CategoryResource, SeverityHigh, RetryWait, EffectNone, ScopeNone},
		{"53100", CategoryResource, SeverityCritical, RetryWait, EffectNone, ScopeOperation},
		{"58030", CategoryInternal, SeverityCritical, RetryNever, EffectNone, ScopeOperation},
		{"25006", CategoryReadOnly, SeverityHigh, RetryReconnect, EffectNone, ScopeDatabase},
		{"25P02", CategoryTransaction, SeverityLow, RetryNever, EffectNone, ScopeNone},
		{"25P03", CategoryTimeout, SeverityMedium, RetryTransaction, EffectNone, ScopeNone},
		{"26000", CategoryTransaction, SeverityLow, RetryStatement, EffectNone, ScopeNone},
		{"42P05", CategoryTransaction, SeverityLow, RetryNever, EffectNone, ScopeNone},
		{"23505", CategoryConstraint, SeverityLow, RetryNever, EffectNone, ScopeNone},
		{"28P01", CategoryPermission, SeverityHigh, RetryNever, EffectNone, ScopeNone},
		{"XX000", CategoryInternal, SeverityCritical, RetryNever, EffectNone, ScopeOperation},
	}
	for _, want := range tests {
		if got := ClassifyFields(Fields{SQLState: want.SQLState}); got != want {
			t.Errorf("ClassifyFields(%s) = %+v, want %+v", want.SQLState, got, want)
		}
	}
}
