package faultproxy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// decisions returns at which of n matches a rule strikes, such as "..x..x".
func decisions(t *testing.T, seed uint64, before int, r Rule, n int) string {
	t.Helper()
	p, err := New(Config{Target: "127.0.0.1:1", Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r.Name, r.Match.Message = "r", Query
	var h *RuleHandle
	for range before + 1 {
		if h, err = p.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	for range n {
		if h.strikes() {
			b.WriteByte('x')
		} else {
			b.WriteByte('.')
		}
	}
	if h.Matches() != n || h.Hits() != strings.Count(b.String(), "x") {
		t.Errorf("matches, hits = %d, %d after %s", h.Matches(), h.Hits(), b.String())
	}
	return b.String()
}

func TestWhichMatchesAreStruck(t *testing.T) {
	for _, tc := range []struct {
		name string
		rule Rule
		want string
	}{
		{"every match by default", Rule{}, "xxxxxxxx"},
		{"the first two", Rule{Count: 2}, "xx......"},
		{"all but the first three", Rule{Skip: 3}, "...xxxxx"},
		{"each third", Rule{Every: 3}, "..x..x.."},
		{"the fourth only", Rule{Skip: 3, Count: 1}, "...x...."},
		{"each second after one, twice", Rule{Skip: 1, Every: 2, Count: 2}, "..x.x..."},
		{"certain", Rule{Probability: 1}, "xxxxxxxx"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decisions(t, 1, 0, tc.rule, len(tc.want)); got != tc.want {
				t.Errorf("decisions = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestChancesRepeatWithTheSeed(t *testing.T) {
	const n = 2000
	half := Rule{Probability: 0.3}
	one := decisions(t, 1, 0, half, n)
	if diff := cmp.Diff(one, decisions(t, 1, 0, half, n)); diff != "" {
		t.Error("the same seed decides differently")
	}
	if one == decisions(t, 2, 0, half, n) || one == decisions(t, 1, 1, half, n) {
		t.Error("another seed, or another rule, decides the same")
	}
	// 600 expected, standard deviation 20.5; the seed is fixed, so this cannot flake.
	if hits := strings.Count(one, "x"); hits < 520 || hits > 680 {
		t.Errorf("hits = %d of %d, want about 600", hits, n)
	}
}

func TestRulesAreChecked(t *testing.T) {
	good := Rule{Name: "r", Match: Match{Message: Query}}
	if err := good.validate(); err != nil {
		t.Errorf("validate = %v, want nil", err)
	}
	for name, change := range map[string]func(*Rule){
		"name": func(r *Rule) { r.Name = "" }, "match.message": func(r *Rule) { r.Match.Message = 0 },
		"action": func(r *Rule) { r.Action = 99 }, "every": func(r *Rule) { r.Every = -1 },
		"when": func(r *Rule) { r.When = 7 }, "side": func(r *Rule) { r.Side = -1 },
		"probability": func(r *Rule) { r.Probability = 1.5 }, "delay": func(r *Rule) { r.Action = Delay },
		"rate": func(r *Rule) { r.Action = Throttle }, "sqlstate": func(r *Rule) { r.Action = Fatal },
	} {
		bad := good
		change(&bad)
		if err := bad.validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("validate with a wrong %s = %v", name, err)
		}
	}
}

func TestTextPredicates(t *testing.T) {
	for _, tc := range []struct {
		name string
		fits func(string) bool
		text string
		want bool
	}{
		{"is, with case and semicolon", Is("commit"), " COMMIT ; ", true},
		{"is not a longer one", Is("commit"), "commit prepared 'x'", false},
		{"prefix", HasPrefix("insert into t"), "\n INSERT into t values", true},
		{"prefix longer than the text", HasPrefix("insert"), "ins", false},
		{"contains", Contains("Pg_Sleep"), "select pg_sleep(1)", true},
		{"contains not", Contains("x"), "select 1", false},
	} {
		if got := tc.fits(tc.text); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
