package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidateReturnsAllFaultsWithTheirPaths(t *testing.T) {
	d := Definition{Name: "a/b", Parallel: -1, Steps: []Step{
		{Name: "", Do: give(1)},
		{Name: "x", Needs: []string{"y", "nowhere", "y"}, Do: give(1)},
		{Name: "y", Needs: []string{"z"}, Attempts: -1, Delay: -1, Timeout: -time.Second, Parallel: 2},
		{Name: "z", Needs: []string{"x"}, Do: give(1)},
		{Name: "x", Do: give(1)},
		{Name: "me", Needs: []string{"me"}, Do: give(1), With: json.RawMessage(strings.Repeat(" ", MaxOutput+1))},
		{Name: strings.Repeat("n", 101), Do: give(1)},
	}}
	err := d.Validate()
	if err == nil {
		t.Fatal("Validate = nil")
	}
	want := []string{
		`name: "a/b" has characters other than A-Z a-z 0-9 . _ -`,
		`parallel: -1 is negative`,
		`steps[0].name: empty`,
		`steps[2](y).uses: missing; want COMPONENT.METHOD, such as sql.exec`,
		`steps[2](y).parallel: the step has no items`,
		`steps[2](y).attempts: -1 is negative`,
		`steps[2](y).delay: -1ns is negative`,
		`steps[2](y).timeout: -1s is negative`,
		`steps[4](x).name: steps[1] has it already`,
		`steps[5](me).with: 65537 bytes are more than 65536`,
		`steps[6](` + strings.Repeat("n", 101) + `).name: 101 bytes are more than 100`,
		`steps[1](x).needs[1]: no step is named "nowhere"`,
		`steps[1](x).needs[2]: "y" is named twice`,
		`steps[3](z).needs: cycle: x → y → z → x`,
		`steps[5](me).needs: cycle: me → me`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if _, err := Run(t.Context(), d, Options{Run: "r"}); err == nil {
		t.Error("Run of a bad definition = nil, want the faults")
	}
	if err := (Definition{Name: "p"}).Validate(); err == nil || err.Error() != "steps: there is none" {
		t.Errorf("Validate of no steps = %v", err)
	}
}

func TestThePlanIsPlainJSON(t *testing.T) {
	d := Definition{Name: "p", Steps: []Step{
		{Name: "a", Do: give(1), With: json.RawMessage(`{ "n": 1 }`)},
		{Name: "b", Uses: "sql.copy", Needs: []string{"a"}, Do: give(1), Attempts: 3, Timeout: time.Second},
	}}
	p, err := d.Freeze("r", map[string]string{"day": "2001-01-01"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"pipeline":"p","run":"r","params":{"day":"2001-01-01"},"steps":[` +
		`{"name":"a","uses":"a","with":{"n":1},"attempts":1},` +
		`{"name":"b","uses":"sql.copy","needs":["a"],"attempts":3,"timeout_ns":1000000000}]}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	for name, run := range map[string]func() error{
		"a bad run":        func() error { _, err := d.Freeze("a/b", nil); return err },
		"params too large": func() error { _, err := d.Freeze("r", strings.Repeat("x", MaxOutput)); return err },
		"params no JSON":   func() error { _, err := d.Freeze("r", func() {}); return err },
	} {
		if run() == nil {
			t.Errorf("Freeze with %s = nil, want an error", name)
		}
	}
}
