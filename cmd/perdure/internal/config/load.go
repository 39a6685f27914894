package config

import (
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/perdure/perdure/cmd/perdure/internal/state"
)

// Input is where a configuration comes from.
type Input struct {
	// File is the path of the configuration file. Empty means that there is none.
	File string
	// Flags are the flags that were given, with their values.
	Flags map[string]string
	// Env finds variables of the environment: os.LookupEnv. An empty one counts as not set. Nil
	// means that there are none.
	Env func(name string) (string, bool)
}

// Effective is a configuration with the source of each value that is not a
// default.
type Effective struct {
	Config

	sources               map[string]Source
	databases             []Database
	adminToken, readToken string // from the environment
	warnings              []string
}

// Load puts a configuration together. If anything is wrong the error is Faults,
// all of them, or that of a file that cannot be read.
func Load(in Input) (*Effective, error) {
	e := &Effective{Config: defaults(), sources: map[string]Source{}}
	d := &decoder{file: in.File}
	othersRead := false
	if in.File != "" {
		text, err := read(in.File)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(in.File)
		othersRead = err == nil && info.Mode().Perm()&0o077 != 0
		d.decode(text, &e.Config)
		e.sources = d.places
	}
	if len(e.Managers) == 0 {
		e.Managers = []Manager{{}}
	}
	if othersRead && e.holdsPassword() {
		e.warnings = append(e.warnings, in.File+" holds a password, and others may read it: chmod 0600, or database_url_file")
	}
	faults := append(d.faults, e.tokensOf(in)...)
	for _, s := range Settings() {
		faults = append(faults, e.set(s, in)...)
	}
	if err := e.fill(); err != nil {
		return nil, err
	}
	faults = e.check(faults)
	if name, ok := general(in); ok && len(e.databases) == 1 && !e.databases[0].Named {
		e.databases[0].Named = true
		e.sources[databaseURL] = Source{Kind: "env", Name: name}
	}
	return e, faults.sorted()
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is only read
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Warnings are what is not wrong, but not well either.
func (e *Effective) Warnings() []string { return e.warnings }

// holdsPassword reports whether a URL that was in the file holds one.
func (e *Effective) holdsPassword() bool {
	return slices.ContainsFunc(e.Managers, func(m Manager) bool {
		u, err := url.Parse(m.DatabaseURL)
		if err != nil || u.Scheme == "" { // key=value pairs
			return strings.Contains(m.DatabaseURL, "password")
		}
		_, has := u.User.Password()
		return has || u.Query().Has("password")
	})
}

// set takes a setting from a flag, else from the environment.
func (e *Effective) set(s Setting, in Input) Faults {
	text, source := "", Source{}
	if t, ok := in.Flags[s.Flag]; ok && s.Flag != "" {
		text, source = t, Source{Kind: "flag", Name: s.Flag}
	} else if in.Env != nil {
		for _, name := range s.Variables() {
			if t, ok := in.Env(name); ok && t != "" {
				text, source = t, Source{Kind: "env", Name: name}
				break
			}
		}
	}
	if source.Kind == "" {
		return nil
	}
	if s.Path == databaseURL {
		if len(e.Managers) > 1 {
			if source.Name == "DATABASE_URL" { // it is for all kinds of programs: no fault
				return nil
			}
			return Faults{{source, s.Path, "the file has several managers, and this names one database", "database_url of each manager, in the file"}}
		}
		e.Managers[0].DatabaseURLFile = "" // it would have the same rank as the one that is set here
	}
	if err := setText(field(reflect.ValueOf(&e.Config).Elem(), s.Path), text); err != nil {
		return Faults{{source, s.Path, err.Error(), ""}}
	}
	e.sources[s.Path] = source
	return nil
}

// fill sets what depends on other values.
func (e *Effective) fill() error {
	if e.StateDir == "" {
		dir, err := state.Default()
		if err != nil {
			return &NoHomeError{err}
		}
		e.StateDir = dir
	}
	or := func(p *string, dir, name string) {
		if *p == "" {
			*p = filepath.Join(dir, name)
		}
	}
	or(&e.Admin.TokenFile, e.StateDir, "admin.token")
	or(&e.Admin.ReadTokenFile, e.StateDir, "read.token")
	or(&e.Audit.Dir, e.StateDir, "audit")
	or(&e.Audit.KeyFile, e.Audit.Dir, "audit.key")
	for i := range e.Managers {
		m := &e.Managers[i]
		if m.CheckEvery == 0 {
			m.CheckEvery = defaultCheckEvery
		}
		if m.Name == "" {
			m.Name = "default"
		}
	}
	return nil
}

// NoHomeError says that there is no place for the state directory.
type NoHomeError struct{ err error }

// Error returns what is missing.
func (e *NoHomeError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *NoHomeError) Unwrap() error { return e.err }

// Hint returns what to do.
func (e *NoHomeError) Hint() string { return "--state-dir DIR, or set XDG_STATE_HOME" }

// Database is how a Manager's database is reached.
type Database struct {
	// Named is false if nothing names one.
	Named bool
	// URL may be empty: everything is then taken from PG* variables.
	URL string
}

// Databases returns that of each Manager.
func (e *Effective) Databases() []Database { return e.databases }

// general reports which of the variables that every PostgreSQL program reads
// names a database.
func general(in Input) (string, bool) {
	if in.Env == nil {
		return "", false
	}
	for _, name := range []string{"PGHOST", "PGSERVICE", "PGDATABASE"} {
		if v, _ := in.Env(name); v != "" {
			return name, true
		}
	}
	return "", false
}

// readURL returns the URL of a Manager's database.
func (m *Manager) readURL() (string, error) {
	if m.DatabaseURLFile == "" {
		return m.DatabaseURL, nil
	}
	text, err := read(m.DatabaseURLFile)
	if err != nil {
		return "", err
	}
	dsn := strings.TrimSpace(string(text))
	switch {
	case dsn == "":
		return "", errors.New("the file is empty")
	case strings.ContainsAny(dsn, "\r\n"):
		return "", errors.New("the file has several lines, want the URL alone")
	}
	return dsn, nil
}
