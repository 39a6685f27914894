package arch_test

import (
	"testing"

	"github.com/perdure/perdure/internal/arch"
)

func TestRootModule(t *testing.T) {
	check(t, parse(t, nil).RootModule(), "go.mod: missing")
	tree := parse(t, map[string]string{
		"go.mod": "module m\n\nrequire github.com/jackc/pgx/v5 v5.1.0\n\nrequire (\n" +
			"\tgithub.com/spf13/cobra v1.0.0\n\tmodernc.org/sqlite v1.0.0 // indirect\n)\n",
		"cmd/perdure/go.mod": "module c\n\nrequire github.com/spf13/cobra v1.0.0\n",
	})
	check(t, tree.RootModule(),
		"go.mod:6: github.com/spf13/cobra belongs in a nested module",
		"go.mod:7: modernc.org/sqlite belongs in a nested module",
	)
}

func TestNested(t *testing.T) {
	const require = "module c\n\nrequire " + arch.Module + " v0.0.0\n"
	tree := parse(t, map[string]string{
		"bench/go.mod":       require,
		"cmd/perdure/go.mod": require + "\nreplace " + arch.Module + " => ../..\n",
		"perduredbos/go.mod": require + "\nreplace " + arch.Module + " => ../..\n",
		"tools/go.mod":       "module t\n",
	})
	check(t, tree.Nested(),
		`bench/go.mod:3: wants "replace `+arch.Module+` => .."`,
		`perduredbos/go.mod:3: wants "replace `+arch.Module+` => .."`,
	)
}

func TestWorkspace(t *testing.T) {
	check(t, parse(t, nil).Workspace(), "go.work: missing")
	modules := map[string]string{"go.mod": "module m\n", "bench/go.mod": "module b\n", "tools/go.mod": "module t\n"}
	modules["go.work"] = "go 1.26.0\n\nuse (\n\t.\n\t./bench\n)\n"
	check(t, parse(t, modules).Workspace())
	modules["go.work"] = "go 1.26.0\n\nuse .\n\nuse ./tools\n"
	check(t, parse(t, modules).Workspace(), "go.work: does not use bench", "go.work: must not use tools")
	modules["go.work"] = "go 1.26.0\n\nuse .\n\nuse ./bench\n"
	modules["perduretemporal/internal/temporalserver/go.mod"] = "module s\n"
	check(t, parse(t, modules).Workspace())
}

func TestDependencies(t *testing.T) {
	const (
		pgx  = "github.com/jackc/pgx/v5"
		tool = "golang.org/x/perf/cmd/benchstat"
		mod  = "module m\n\ntool " + tool + "\n\nrequire (\n\t" + pgx + " v5.1.0\n\tgolang.org/x/text v0.1.0 // indirect\n)\n"
	)
	check(t, parse(t, map[string]string{"go.mod": mod}).Dependencies(), "docs/dependencies.md: missing")
	tree := parse(t, map[string]string{"tools/go.mod": mod, "docs/dependencies.md": "pgx and `golang.org/x/perf`"})
	check(t, tree.Dependencies(),
		"tools/go.mod:3: "+tool+" has no line in docs/dependencies.md",
		"tools/go.mod:6: "+pgx+" has no line in docs/dependencies.md",
	)
	check(t, parse(t, map[string]string{"go.mod": mod, "docs/dependencies.md": "`" + pgx + "`, `" + tool + "`"}).Dependencies())
}
