package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/backoff"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/config"
)

const head = `<!-- Written by "go generate ./cmd/perdure/internal/config". Change the comments in the code, not this page. -->
# Configuration of perdure serve

Every value comes from the first of these that gives it: **a flag, a variable of the environment, the file, the default**. An empty variable counts as not set. The file is
the one that ` + "`--config`" + ` or ` + "`PERDURE_CONFIG`" + ` names; there is no other place where one is looked for.

` + "```sh" + `
perdure config --config perdure.yaml   # what is in force, and where each value comes from; secrets are hidden
perdure config --check perdure.yaml    # every fault of one file, with line, column and what to do; exit code 3 if there is one
` + "```" + `

The file is strict YAML. Unknown keys, keys that are there twice, values of another type or out of range, keys without a value, aliases, anchors, merge keys and tags
are faults, and all of them are told at once. A duration is a number with a unit: ` + "`500ms`, `5s`, `1m30s`" + `. Nothing is expanded: ` + "`${NAME}`" + ` is a fault, so that no
secret is half expanded by mistake. Secrets come by variable or by a file of their own (` + "`database_url_file`, `admin.token_file`" + `).

` + "```yaml" + `
listen: 127.0.0.1:7070
admin: {enabled: true}
managers:
  - name: warehouse
    database_url_file: /run/secrets/warehouse-url
    policy:
      max_attempts: 5
      park: 5m
    policies:
      stats.*: {attempt_timeout: 30s}
` + "```" + `

## Who may reach what

The listener is on the loopback interface, and whoever may use that may read: nothing that is shown there holds a password or a row. Any other address is refused unless
` + "`admin.allow_remote`" + ` is set. Then everything but the probes ` + "`/livez`, `/readyz`, `/startupz`" + ` needs a token: ` + "`Authorization: Bearer TOKEN`" + ` with the token for reading or the admin
token, or, in a browser, either of them as the password. There is no TLS: put a proxy before it, or keep to loopback and use ` + "`ssh -L 7070:127.0.0.1:7070 HOST`" + `.
` + "`admin.open_metrics`" + ` leaves ` + "`/metrics`" + ` open for a Prometheus without a token.

Holding and releasing breakers, and ` + "`/debug/pprof/`" + `, need ` + "`admin.enabled`" + ` and the admin token, wherever they are asked for from. They are in the audit trail before they are done;
if the trail takes no records, nothing is done. A client may make 10 changes at once and one more each 6 s (all together 20, and one each 2 s). It may give 5 wrong tokens and one more each
12 s; until then everything that needs a token is refused it with 429, the right token too, because the limit would otherwise tell which one is right. All clients together
may give 20 and one more each 3 s. Who brings no token guesses none, and is told 401 as often as it asks. Refusals over a limit are counted in the next audit record. A client is an IPv4 address or an IPv6 /64 network.
` + "`run` and `demo` with `--listen` keep no trail: their log is told. Why all this is so: [adr/0006](adr/0006-who-may-do-what-on-the-admin-listener.md)." + `

`

const settingsHead = `## Settings

| key | flag | variable | default | meaning |
|---|---|---|---|---|
`

// page returns the text of docs/configuration.md.
func page(root string) (string, error) {
	c := comments{}
	for _, dir := range []string{".", "breaker", "backoff", "cmd/perdure/internal/config"} {
		if err := c.read(filepath.Join(root, dir)); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	b.WriteString(head)
	b.WriteString(settingsHead)
	set := map[string]config.Setting{}
	for _, s := range config.Settings() {
		set[s.Path] = s
	}
	for _, f := range config.Keys(reflect.TypeFor[config.Config]()) {
		if f.Name == "managers" {
			continue
		}
		if f.Type.Kind() != reflect.Struct {
			settingRow(&b, set, f.Name, c["config.Config."+f.Name])
			continue
		}
		for _, inner := range config.Keys(f.Type) {
			settingRow(&b, set, f.Name+"."+inner.Name, c["config."+f.Type.Name()+"."+inner.Name])
		}
	}
	url := set["managers[0].database_url"]
	fmt.Fprintf(&b, "| `managers[0].database_url` | `--%s` | `%s` | %s | %s |\n", url.Flag, strings.Join(url.Variables(), "`, then `"), url.Default,
		"Where there is one manager. With several, each names its own in the file, and DATABASE_URL is left alone.")
	b.WriteString("| – | – | `PERDURE_ADMIN_TOKEN` | – | The admin token: 16 to 1,024 visible ASCII characters. It comes before admin.token_file. |\n")
	b.WriteString("| – | – | `PERDURE_READ_TOKEN` | – | The token for reading from other machines. It comes before admin.read_token_file. |\n")

	b.WriteString("\n## Managers\n\nEach element of `managers` is a guarded database. What it leaves out has the default that its meaning names.\n\n")
	section(&b, c, reflect.TypeFor[config.Manager]())
	b.WriteString("\n### A policy\n\n`policy` holds for every operation, `policies` for those that it names; fields that a named one leaves out are taken from `policy`.\n\n")
	section(&b, c, reflect.TypeFor[perdure.Policy]())
	b.WriteString("\n### Delays: `backoff`, `contention`, `overload`\n\nStrategies: `exponential`, `linear`, `constant`, `fibonacci`. Jitter: `full`, `equal`, `none`.\n\n")
	section(&b, c, reflect.TypeFor[backoff.Config]())
	b.WriteString("\n### A breaker: `database`, `policy.breaker`\n\nRules: `adaptive`, `consecutive`, `rate`, `off`.\n\n")
	section(&b, c, reflect.TypeFor[breaker.Config]())
	b.WriteString("\n### The retry budget: `budget`\n\n")
	section(&b, c, reflect.TypeFor[perdure.BudgetConfig]())
	return b.String(), nil
}

func settingRow(b *strings.Builder, set map[string]config.Setting, path, text string) {
	s := set[path]
	flag := "–"
	if s.Flag != "" {
		flag = "`--" + s.Flag + "`"
	}
	fmt.Fprintf(b, "| `%s` | %s | `%s` | %s | %s |\n", path, flag, strings.Join(s.Variables(), "`, `"), s.Default, text)
}

func section(b *strings.Builder, c comments, t reflect.Type) {
	b.WriteString("| key | type | meaning |\n|---|---|---|\n")
	for _, f := range config.Keys(t) {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.Name, kind(f.Type), c[f.Owner+"."+f.Name])
	}
}

// kind names a type for people.
func kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[perdure.Policy]():
		return "[policy](#a-policy)"
	case t == reflect.TypeFor[backoff.Config]():
		return "[delays](#delays-backoff-contention-overload)"
	case t == reflect.TypeFor[breaker.Config]():
		return "[breaker](#a-breaker-database-policybreaker)"
	case t == reflect.TypeFor[perdure.BudgetConfig]():
		return "[budget](#the-retry-budget-budget)"
	}
	switch t.Kind() { //nolint:exhaustive // what the configuration is made of
	case reflect.Map:
		return "name: " + kind(t.Elem())
	case reflect.Slice:
		return "list of names"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	}
	return "text"
}
