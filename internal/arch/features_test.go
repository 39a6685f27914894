package arch_test

import "testing"

func TestFeatures(t *testing.T) {
	const code = "package p\n\ntype Policy struct{ Park int }\n\nfunc (p *Policy) Lay() {}\n"
	const test = "package p\n\nfunc TestParking(t *testing.T) {}\n"
	const head = "# Features\n\n| promise | where | shown by |\n|---|---|---|\n"
	cases := []struct {
		name, rows string
		want       []string
	}{
		{"a row with its test", "| parking | `park.Policy.Park`, `park.Policy.Lay`, [code](../park/park.go) | `park.TestParking` |", nil},
		{"a row without", "| parking | `park.Policy` | soon |", []string{"docs/features.md:5: no test shows it: parking"}},
		{"a name that is no test", "| parking | – | `park.Policy` |", []string{"docs/features.md:5: no test shows it: parking"}},
		{"a test that is not there", "| parking | – | `park.TestPark` |", []string{"docs/features.md:5: there is no park.TestPark"}},
		{"a name that is not there", "| parking | `park.Policy.Wait` | `park.TestParking` |", []string{"docs/features.md:5: there is no park.Policy.Wait"}},
		{"a file that is not there", "| parking | [code](../park/wait.go) | `park.TestParking` |", []string{"docs/features.md:5: there is no park/wait.go"}},
		{"a row of what is not there yet", "\n## Not there yet\n\n| promise | where | shown by |\n|---|---|---|\n| flying | | |", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"park/park.go": code, "park/park_test.go": test, "docs/features.md": head + c.rows + "\n"}
			check(t, parse(t, files).Features(), c.want...)
		})
	}
	check(t, parse(t, nil).Features(), "docs/features.md: missing")
}
