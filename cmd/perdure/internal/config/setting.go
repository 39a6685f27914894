package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Setting is a value that a flag or a variable of the environment can set too.
type Setting struct {
	Path string // in the file
	Flag string // without dashes; empty: none
	Env  []string
	// About says in a few words what it is.
	About string
	// Default is the text of the default; where it depends on something, what on.
	Default string
}

// databaseURL is the path of the URL when there is one Manager.
const databaseURL = "managers[0].database_url"

// Settings returns every value that can be set from outside the file.
func Settings() []Setting {
	return []Setting{
		{Path: "listen", About: "address of the admin listener, or off", Flag: "listen", Default: "127.0.0.1:7070"},
		{Path: "admin.enabled", About: "let whoever has the admin token hold and release breakers", Flag: "admin", Default: "false"},
		{Path: "admin.token_file", About: "file with the admin token, made when needed", Flag: "admin-token-file", Default: "admin.token in state_dir"},
		{Path: "admin.allow_remote", About: "let the listener be reached from other machines; reading then needs a token", Flag: "allow-remote", Default: "false"},
		{Path: "admin.read_token_file", About: "file with the token for reading from other machines, made when needed", Flag: "read-token-file", Default: "read.token in state_dir"},
		{Path: "admin.open_metrics", About: "let other machines read /metrics without a token", Flag: "open-metrics", Default: "false"},
		{Path: "admin.allow_hosts", About: "names by which the listener may be called beside localhost and addresses, with commas between", Flag: "allow-host", Default: "none"},
		{Path: "state_dir", About: "directory for what survives a restart", Flag: "state-dir", Default: "$STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/perdure, else ~/.local/state/perdure"},
		{Path: "save_every", About: "how often the breakers are saved", Flag: "save-every", Default: "10s"},
		{Path: "drain_for", About: "how long to go on, not ready, after SIGTERM", Flag: "drain-for", Default: "1s"},
		{Path: "ready_without_database", About: "be ready also while the database is away, with a warning", Flag: "ready-without-database", Default: "false"},
		{Path: "audit.enabled", About: "keep an audit trail", Flag: "audit", Default: "true"},
		{Path: "audit.dir", About: "directory of the audit trail", Flag: "audit-dir", Default: "audit in state_dir"},
		{Path: "audit.key_file", About: "file with the key that signs the trail, made when needed", Flag: "audit-key-file", Default: "audit.key in audit.dir"},
		{Path: "audit.origin", About: "name of the trail", Default: "perdure.audit"},
		{Path: "log.level", About: "debug, info, warn or error", Flag: "log-level", Default: "info"},
		{Path: "log.format", About: "text or json", Flag: "log-format", Default: "text"},
		{Path: databaseURL, About: "connection URL or key=value string, where there is one manager", Flag: "database-url", Env: []string{"PERDURE_DATABASE_URL", "DATABASE_URL"}, Default: "what PG* variables say, if PGHOST, PGSERVICE or PGDATABASE is set; else none: the database is not probed"},
	}
}

// Variables returns the variables of the environment that set s, the first one
// that is set counts.
func (s Setting) Variables() []string {
	if s.Env != nil {
		return s.Env
	}
	return []string{"PERDURE_" + strings.ToUpper(strings.ReplaceAll(s.Path, ".", "_"))}
}

// field finds the value at a path of names, as "admin.enabled".
func field(v reflect.Value, path string) reflect.Value {
	for name := range strings.SplitSeq(path, ".") {
		if key, index, ok := strings.Cut(name, "["); ok {
			i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			list := named(v, key)
			if err != nil || i >= list.Len() {
				return reflect.Value{}
			}
			v = list.Index(i)
			continue
		}
		v = named(v, name)
	}
	return v
}

func named(v reflect.Value, name string) reflect.Value {
	for _, f := range fieldsOf(v.Type()) {
		if f.name == name {
			return v.FieldByIndex(f.index)
		}
	}
	return reflect.Value{}
}

var durationType = reflect.TypeFor[time.Duration]() //nolint:gochecknoglobals // a type, it never changes

// setText sets a value from the text of a flag or a variable.
func setText(v reflect.Value, text string) error {
	switch {
	case v.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration: give it a unit, such as 5s or 1m30s", text)
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.Bool:
		switch text {
		case "true", "false":
			v.SetBool(text == "true")
		default:
			return fmt.Errorf("%q is neither true nor false", text)
		}
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Slice:
		var all []string
		for part := range strings.SplitSeq(text, ",") {
			all = append(all, strings.TrimSpace(part))
		}
		v.Set(reflect.ValueOf(all))
	default:
		return fmt.Errorf("a %s cannot be set from outside the file", v.Kind())
	}
	return nil
}

// IsSwitch reports whether a setting is true or false: its flag then needs no
// value.
func IsSwitch(s Setting) bool {
	e := Config{Managers: []Manager{{}}}
	return field(reflect.ValueOf(&e).Elem(), s.Path).Kind() == reflect.Bool
}

// Describe returns what the flag of a setting says of itself.
func Describe(s Setting) string {
	return fmt.Sprintf("%s (default: %s)", s.About, s.Default)
}
