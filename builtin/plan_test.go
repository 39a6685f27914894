package builtin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/builtin"
	"github.com/perdure/perdure/perdurepgx"
	"github.com/perdure/perdure/pipeline"
)

func TestARunKeepsItsPlan(t *testing.T) {
	cfg, err := pgxpool.ParseConfig(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := perdurepgx.Open(t.Context(), cfg, m, perdurepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defer func() {
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const src = "name: p\nparams: {n: {type: int, default: 1}}\nsteps:\n  - {name: a, uses: sql.exec, timeout: 1m, with: {sql: \"select $1\", args: [\"${params.n}\"]}}\n"
	hold := func(src, run string) error {
		p, err := parse(t, src).Freeze(run, nil)
		if err != nil {
			t.Fatal(err)
		}
		return builtin.HoldPlan(t.Context(), db, p)
	}
	if _, held, err := builtin.HeldPlan(t.Context(), db, "r"); held || err != nil {
		t.Errorf("HeldPlan before = %v, %v", held, err)
	}
	for _, same := range []string{src, src, strings.Replace(src, "1m", "2m", 1)} {
		if err := hold(same, "r"); err != nil {
			t.Errorf("HoldPlan of the same = %v", err)
		}
	}
	changed := strings.Replace(src, "select $1", "select 1 + $1", 1)
	if err := hold(changed, "r"); !errors.Is(err, pipeline.ErrPlanChanged) || !strings.HasSuffix(err.Error(), ": step a") {
		t.Errorf("HoldPlan of another = %v, want that step a has changed", err)
	}
	if p, held, err := builtin.HeldPlan(t.Context(), db, "r"); !held || err != nil || p.Run != "r" || len(p.Steps) != 1 {
		t.Errorf("HeldPlan = %+v, %v, %v", p, held, err)
	}
	if _, held, err := builtin.HeldPlan(t.Context(), db, "r2"); held || err != nil { // asking is not holding
		t.Errorf("HeldPlan of another run = %v, %v", held, err)
	}
	if err := hold(changed, "r2"); err != nil {
		t.Errorf("HoldPlan of another run = %v", err)
	}
}
