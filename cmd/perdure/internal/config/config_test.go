package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/config"
	"github.com/perdure/perdure/pgerr"
)

// write makes a configuration file.
func write(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("perdure.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "perdure.yaml"
}

// env has a home, as every environment.
func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func faults(t *testing.T, in config.Input) config.Faults {
	t.Helper()
	_, err := config.Load(in)
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatalf("Load = %v, want Faults", err)
	}
	return f
}

const whole = `
listen: 127.0.0.1:0
admin:
  enabled: true
  allow_hosts: [db7.example.com]
state_dir: /var/lib/perdure
save_every: 30s
drain_for: 5s
audit:
  enabled: true
  origin: db7.example.com/warehouse
log: {level: warn, format: json}
managers:
  - name: warehouse
    database_url: postgres://app:hunter2@db7:5432/shop
    standbys: true
    max_operations: 50
    policy:
      max_attempts: 5
      park: 5m
      backoff: {strategy: linear, initial: 20ms, jitter: none}
      retry_on: [connection, transient]
      breaker: {rule: rate, failure_rate: 0.25}
    policies:
      stats.*: {attempt_timeout: 1m30s}
    database: {open_for: 2s}
    budget: {ratio: 0.2, floor: 3}
  - name: archive
`

func TestAWholeFile(t *testing.T) {
	e, err := config.Load(config.Input{File: write(t, whole)})
	if err != nil {
		t.Fatal(err)
	}
	if e.SaveEvery != 30*time.Second || !e.Admin.Enabled || e.Log.Format != "json" || e.Admin.TokenFile != "/var/lib/perdure/admin.token" ||
		e.Audit.KeyFile != "/var/lib/perdure/audit/audit.key" || len(e.Managers) != 2 {
		t.Errorf("Config = %+v", e.Config)
	}
	m := e.Managers[0]
	p := m.Policy
	if m.Name != "warehouse" || m.MaxOperations != 50 || p.MaxAttempts != 5 || p.Park != 5*time.Minute || p.Backoff.Initial != 20*time.Millisecond ||
		p.Breaker.Rule != breaker.Rate || m.Policies["stats.*"].AttemptTimeout != 90*time.Second || m.Database.OpenFor != 2*time.Second ||
		m.Budget.Floor != 3 || !m.Standbys || m.CheckEvery != 5*time.Second {
		t.Errorf("managers[0] = %+v", m)
	}
	if diff := cmp.Diff([]pgerr.Category{pgerr.CategoryConnection, pgerr.CategoryTransient}, p.RetryOn); diff != "" {
		t.Errorf("retry_on (-want +got):\n%s", diff)
	}
	want := []config.Database{{Named: true, URL: "postgres://app:hunter2@db7:5432/shop"}, {}}
	if diff := cmp.Diff(want, e.Databases()); diff != "" {
		t.Errorf("Databases (-want +got):\n%s", diff)
	}
}

func TestWhatComesFirstCounts(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\nlog: {level: warn}\nmanagers:\n  - database_url: postgres://file/x\n")
	in := config.Input{
		File:  file,
		Env:   env(map[string]string{"PERDURE_LISTEN": "127.0.0.1:2", "PERDURE_LOG_LEVEL": "debug", "DATABASE_URL": "postgres://general/x", "PERDURE_DRAIN_FOR": "3s", "PERDURE_SAVE_EVERY": ""}),
		Flags: map[string]string{"listen": "127.0.0.1:3"},
	}
	e, err := config.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range e.Values() {
		got[v.Path] = v.Text + " " + v.Source.String()
	}
	for path, want := range map[string]string{
		"listen":                   "127.0.0.1:3 --listen",
		"log.level":                "debug $PERDURE_LOG_LEVEL",
		"log.format":               "text default",
		"drain_for":                "3s $PERDURE_DRAIN_FOR",
		"save_every":               "10s default",
		"managers[0].database_url": "postgres://" + userName(t) + "@general:5432/x $DATABASE_URL",
		"managers[0].check_every":  "5s default",
		"managers[0].name":         "default default",
	} {
		if got[path] != want {
			t.Errorf("%s = %q, want %q", path, got[path], want)
		}
	}
	in.Env = env(map[string]string{"DATABASE_URL": "postgres://general/x", "PERDURE_DATABASE_URL": "postgres://own/x"})
	if e, err = config.Load(in); err != nil || e.Databases()[0].URL != "postgres://own/x" {
		t.Errorf("Databases = %v, %v, want that of PERDURE_DATABASE_URL", e.Databases(), err)
	}
}

// userName is what the driver takes where a URL names no user.
func userName(t *testing.T) string {
	t.Helper()
	u := config.HideURL("postgres://h/d")
	return strings.TrimSuffix(strings.TrimPrefix(u, "postgres://"), "@h:5432/d")
}

func TestSecretsAreHidden(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "url")
	if err := os.WriteFile(file, []byte("postgres://app:hunter2@db7/shop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := config.Load(config.Input{
		File: write(t, "managers:\n  - {name: a, database_url: 'host=db7 user=app password=hunter2 dbname=shop'}\n  - {name: b, database_url_file: "+file+"}\n"),
		Env:  env(map[string]string{"PERDURE_ADMIN_TOKEN": "hunter2hunter2hunter2"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Databases()[1].URL != "postgres://app:hunter2@db7/shop" {
		t.Errorf("Databases = %v", e.Databases())
	}
	var b strings.Builder
	for _, v := range e.Values() {
		b.WriteString(v.Path + " = " + v.Text + "\n")
	}
	for _, want := range []string{"managers[0].database_url = postgres://app:[hidden]@db7:5432/shop\n", "admin.token = [hidden]\n", "managers[1].database_url_file = " + file} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("values lack %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("a secret is shown:\n%s", b.String())
	}
}

// TestFaults has each kind of fault: where it is, what is wrong, what to do.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // "line:column: path: text"
	}{
		"no YAML":                       {"listen: [1\nadmin: x\n", []string{"2:6: this is not YAML"}},
		"a tab":                         {"admin:\n\tenabled: true\n", []string{"2:1: this is not YAML"}},
		"a list at the top":             {"- listen\n", []string{"1:1: this is a list, want a mapping"}},
		"text at the top":               {"listen\n", []string{"1:1: this is text, want a mapping"}},
		"two documents":                 {"listen: off\n---\nlisten: off\n", []string{"2:1: a second document begins here"}},
		"an unknown key":                {"lisen: off\n", []string{"1:1: lisen: there is no such key | listen"}},
		"an unknown key further down":   {"managers:\n  - polcy: {}\n", []string{"2:5: managers[0].polcy: there is no such key | policy"}},
		"a key of another place":        {"admin: {level: info}\n", []string{"1:9: admin.level: there is no such key | one of enabled, token_file"}},
		"a key twice":                   {"listen: off\nlisten: off\n", []string{"2:1: listen: this key is there already, in line 1"}},
		"a key twice in a policy":       {"managers:\n  - policy:\n      park: 1s\n      park: 2s\n", []string{"4:7: managers[0].policy.park: this key is there already, in line 3"}},
		"a name twice in policies":      {"managers:\n  - policies:\n      a: {park: 1s}\n      a: {park: 2s}\n", []string{`4:7: managers[0].policies.a: this key is there already`}},
		"a key that is no text":         {"managers:\n  - policies: {1: {park: 1s}}\n", []string{"2:16: managers[0].policies: a key has to be text"}},
		"no value":                      {"listen:\n", []string{"1:8: listen: there is no value"}},
		"text for a mapping":            {"admin: yes please\n", []string{"1:8: admin: this is text, want a mapping"}},
		"a mapping for text":            {"listen: {host: x}\n", []string{"1:9: listen: this is a mapping, want text"}},
		"a number for text":             {"state_dir: 7\n", []string{"1:12: state_dir: this is a number, want text"}},
		"a date for text":               {"state_dir: 2001-01-01\n", []string{"1:12: state_dir: this is a date, want text"}},
		"text for true or false":        {"admin: {enabled: \"true\"}\n", []string{"1:18: admin.enabled: this is text, want true or false"}},
		"yes for true":                  {"admin: {enabled: yes}\n", []string{"1:18: admin.enabled: this is text, want true or false"}},
		"text for a number":             {"managers:\n  - {max_operations: many}\n", []string{"2:22: managers[0].max_operations: this is text, want a whole number"}},
		"a fraction for a whole number": {"managers:\n  - {max_parked: 1.5}\n", []string{"2:18: managers[0].max_parked: this is a number, want a whole number"}},
		"a number beyond all bounds":    {"managers:\n  - {max_parked: 99999999999999999999}\n", []string{"2:18: managers[0].max_parked: this is a number, want a whole number"}},
		"not a number":                  {"managers:\n  - budget: {ratio: .nan}\n", []string{"2:21: managers[0].budget.ratio: this is a number, want a number"}},
		"a duration without a unit":     {"save_every: 5\n", []string{"1:13: save_every: this is not a duration"}},
		"a duration with a wrong unit":  {"save_every: 5 parsecs\n", []string{"1:13: save_every: this is not a duration"}},
		"text for a list":               {"admin: {allow_hosts: db7}\n", []string{"1:22: admin.allow_hosts: this is text, want a list"}},
		"an empty list":                 {"managers: []\n", []string{"1:11: managers: the list is empty"}},
		"an unknown name":               {"managers:\n  - policy: {retry_on: [connection, magic]}\n", []string{"2:37: managers[0].policy.retry_on[1]: "}},
		"a variable":                    {"state_dir: ${HOME}/perdure\n", []string{"1:12: state_dir: ${…} is not expanded here"}},
		"an anchor":                     {"log: &l {level: info}\n", []string{"1:6: log: anchors (&l) are not read here"}},
		"an alias":                      {"managers:\n  - &m {name: a}\n  - *m\n", []string{"2:5: managers[0]: anchors", "3:5: managers[1]: aliases (*m) are not read here"}},
		"a merge key":                   {"log: {<<: {level: info}}\n", []string{"1:7: log: merge keys (<<) are not read here"}},
		"a tag":                         {"state_dir: !!binary aGk=\n", []string{"1:12: state_dir: tags (!!binary) are not read here"}},
		"a tag of one's own":            {"state_dir: !secret x\n", []string{"1:12: state_dir: tags (!secret) are not read here"}},
		"a duration out of range":       {"save_every: 1ms\n", []string{"1:13: save_every: 1ms is out of range | from 1s to 1h0m0s"}},
		"a negative duration":           {"drain_for: -1s\n", []string{"1:12: drain_for: -1s is out of range"}},
		"an unknown level":              {"log: {level: chatty}\n", []string{`1:14: log.level: "chatty" is not known | one of debug, info, warn, error`}},
		"no address":                    {"listen: \"7070\"\n", []string{`1:9: listen: "7070" is not an address`}},
		"a port that is none":           {"listen: localhost:77777\n", []string{`1:9: listen: "localhost:77777" is not an address`}},
		"an address for others":         {"listen: 0.0.0.0:7070\n", []string{"1:9: listen: 0.0.0.0:7070 can be reached from other machines"}},
		"a host with a port":            {"admin: {allow_hosts: [\"db7:7070\"]}\n", []string{`1:23: admin.allow_hosts[0]: "db7:7070" is not a host name`}},
		"a name that is none":           {"managers:\n  - name: two words\n", []string{"2:11: managers[0].name: "}},
		"a name twice":                  {"managers:\n  - name: a\n  - name: a\n", []string{`3:11: managers[1].name: "a" is the name of managers[0] too`}},
		"two without a name":            {"managers:\n  - standbys: true\n  - standbys: true\n", []string{`3:5: managers[1].name: "default" is the name of managers[0] too`}},
		"limits that cross":             {"managers:\n  - policy:\n      backoff: {initial: 10s, max: 1s}\n", []string{"3:36: managers[0].policy.backoff.max: "}},
		"a negative limit":              {"managers:\n  - max_operations: -1\n", []string{"2:21: managers[0].max_operations: -1 is negative"}},
		"a pattern that is none":        {"managers:\n  - policies:\n      \"*.stats\": {park: 1s}\n", []string{`managers[0].policies["*.stats"]: `}},
		"an unknown rule":               {"managers:\n  - database: {rule: magic}\n", []string{"2:22: managers[0].database.rule: "}},
		"a share above one":             {"managers:\n  - budget: {ratio: 1.5}\n", []string{"2:21: managers[0].budget.ratio: 1.5 is not between 0 and 1"}},
		"a func from YAML":              {"managers:\n  - policy: {backoff: {strategy: custom}}\n", []string{"managers[0].policy.backoff."}},
		"a URL that is none":            {"managers:\n  - database_url: postgres://app:hunter2@db7:port/shop\n", []string{"2:19: managers[0].database_url: this is not a connection URL"}},
		"a URL and a file with one":     {"managers:\n  - database_url: postgres://db7/shop\n    database_url_file: /run/url\n", []string{"3:24: managers[0].database_url_file: database_url is there too"}},
		"a file that is not there":      {"managers:\n  - database_url_file: nowhere\n", []string{"2:24: managers[0].database_url_file: open nowhere: no such file"}},
		"a check too often":             {"managers:\n  - check_every: 1ms\n", []string{"2:18: managers[0].check_every: 1ms is out of range"}},
		"a trail with blanks":           {"audit: {origin: a b}\n", []string{"1:17: audit.origin: "}},
		"a file too large":              {"# " + strings.Repeat("x", 1<<20) + "\n", []string{"perdure.yaml: the file is larger than 1048576 bytes"}},
		"all at once": {
			"listen: 7\nlgo: {}\nadmin: {enabled: 1}\nsave_every: 2h\nmanagers:\n  - name: a\n    budget: {ratio: 2}\n  - name: a\n",
			[]string{"1:9: listen: ", "2:1: lgo: ", "3:18: admin.enabled: ", "4:13: save_every: ", "7:21: managers[0].budget.ratio: ", "8:11: managers[1].name: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := faults(t, config.Input{File: write(t, c.text)})
			if len(got) != len(c.want) {
				t.Fatalf("%d faults, want %d:\n%v", len(got), len(c.want), got)
			}
			for i, want := range c.want {
				text, try, _ := strings.Cut(want, " | ")
				if !strings.Contains(got[i].String(), text) || !strings.HasPrefix(got[i].String(), "perdure.yaml:") {
					t.Errorf("fault %d = %s, want %s", i, got[i], text)
				}
				if got[i].Try == "" || !strings.HasPrefix(got[i].Try, try) {
					t.Errorf("fault %d: Try %q, want %q", i, got[i].Try, try)
				}
			}
			if strings.Contains(got.Error(), "hunter2") {
				t.Errorf("a secret is shown: %v", got)
			}
		})
	}
}

func TestFaultsOfFlagsAndVariables(t *testing.T) {
	two := write(t, "managers: [{name: a}, {name: b}]\n")
	for name, c := range map[string]struct {
		in   config.Input
		want string
	}{
		"a variable of a wrong type": {config.Input{Env: env(map[string]string{"PERDURE_SAVE_EVERY": "5"})}, `$PERDURE_SAVE_EVERY: save_every: "5" is not a duration`},
		"a variable out of range":    {config.Input{Env: env(map[string]string{"PERDURE_DRAIN_FOR": "1h"})}, "$PERDURE_DRAIN_FOR: drain_for: 1h0m0s is out of range"},
		"a switch that is none":      {config.Input{Env: env(map[string]string{"PERDURE_ADMIN_ENABLED": "yes"})}, `$PERDURE_ADMIN_ENABLED: admin.enabled: "yes" is neither`},
		"a flag out of range":        {config.Input{Flags: map[string]string{"log-level": "loud"}}, `--log-level: log.level: "loud" is not known`},
		"a host of a variable":       {config.Input{Env: env(map[string]string{"PERDURE_ADMIN_ALLOW_HOSTS": "a.example, b:1"})}, `$PERDURE_ADMIN_ALLOW_HOSTS: admin.allow_hosts[1]: "b:1"`},
		"a token too short":          {config.Input{Env: env(map[string]string{"PERDURE_ADMIN_TOKEN": "hunter2"})}, "$PERDURE_ADMIN_TOKEN: a token has 16 to 1024 bytes"},
		"one URL for two":            {config.Input{File: two, Flags: map[string]string{"database-url": "postgres://x/y"}}, "--database-url: managers[0].database_url: the file has several managers"},
	} {
		t.Run(name, func(t *testing.T) {
			got := faults(t, c.in)
			if len(got) != 1 || !strings.HasPrefix(got.Error(), c.want) || strings.Contains(got.Error(), "hunter2") {
				t.Errorf("faults = %v, want %s", got, c.want)
			}
		})
	}
	if e, err := config.Load(config.Input{File: two, Env: env(map[string]string{"DATABASE_URL": "postgres://x/y"})}); err != nil || e.Databases()[0].URL != "" {
		t.Errorf("DATABASE_URL beside two managers = %v, %v, want it left alone", e.Databases(), err)
	}
}

func TestAPasswordThatOthersMayReadIsAWarning(t *testing.T) {
	for _, c := range []struct {
		url  string
		mode os.FileMode
		want int
	}{
		{"postgres://app:hunter2@db7/shop", 0o644, 1},
		{"postgres://app:hunter2@db7/shop", 0o640, 1},
		{"postgres://app:hunter2@db7/shop", 0o600, 0},
		{"postgres://app@db7/shop", 0o644, 0},
		{"host=db7 password=hunter2", 0o644, 1},
		{"host=db7", 0o644, 0},
	} {
		file := write(t, "managers:\n  - database_url: "+c.url+"\n")
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		e, err := config.Load(config.Input{File: file})
		if err != nil || len(e.Warnings()) != c.want || strings.Contains(strings.Join(e.Warnings(), ""), "hunter2") {
			t.Errorf("%s with mode %#o: %v, %v, want %d", c.url, c.mode, e.Warnings(), err, c.want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{whole, "listen: off", "a: &a [*a]", "{", "\x00", "managers:\n- policies: {a.*: {park: 1s}}"} {
		f.Add(seed)
	}
	file := filepath.Join(f.TempDir(), "perdure.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := config.Load(config.Input{File: file})
		if err == nil {
			e.Values()
			return
		}
		all, ok := errors.AsType[config.Faults](err)
		if !ok || len(all) == 0 {
			t.Fatalf("Load = %v, want Faults", err)
		}
		for _, fault := range all {
			if fault.Source.Name == "" || fault.Text == "" {
				t.Errorf("fault %+v has no place or no text", fault)
			}
		}
	})
}
