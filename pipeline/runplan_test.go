package pipeline

import (
	"encoding/json"
	"testing"
)

// TestAPlanFromAFileIsRunByAnotherProcess: of its parameters only the values are left.
func TestAPlanFromAFileIsRunByAnotherProcess(t *testing.T) {
	d := parsed(t, "name: p\nparams: {n: {type: int, default: 2}, day: {type: date, default: 2001-12-31}, all: {type: list, default: [a, b]}}\nsteps:\n"+
		"  - {name: each, uses: sql.exec, foreach: \"${params.all}\", when: params.n > 1, with: {sql: x, args: [\"${item}\", \"${params.day}\"]}}\n"+
		"  - {name: never, uses: sql.exec, when: params.n > 2, with: {sql: x}}\n")
	plan, err := d.Freeze("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	plan = Plan{}
	if err := json.Unmarshal(raw, &plan); err != nil {
		t.Fatal(err)
	}
	r, err := RunPlan(t.Context(), plan, Options{Env: Env{Invoker: invokes(echo)}})
	if err != nil {
		t.Fatal(err)
	}
	each, _ := r.Step("each")
	never, _ := r.Step("never")
	if each.Items != 2 || each.Status != StatusSucceeded || never.Status != StatusOmitted {
		t.Errorf("report = %+v", r)
	}
	if _, err := Parse("f", []byte("name: p\nparams: {n: {type: any}}\nsteps: [{name: a, uses: sql.exec, with: {sql: x}}]\n"), nil); err == nil {
		t.Error("a file may say that a parameter is of any type")
	}
}
