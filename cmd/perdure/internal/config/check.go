package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure/cmd/perdure/internal/admin"
)

// Off is the value of Config.Listen that means no listener.
const Off = "off"

// maxManagers bounds the databases of one process.
const maxManagers = 100

// check adds what is wrong with the values, each at its place.
func (e *Effective) check(faults Faults) Faults {
	add := func(path, text, try string) {
		if covered(faults, path) { // the value is not the one that was meant
			return
		}
		faults = append(faults, Fault{Source: e.Source(path), Path: path, Text: text, Try: try})
	}
	if e.Listen != Off {
		e.checkListen(add)
	}
	for i, h := range e.Admin.AllowHosts {
		if err := admin.CheckHost(h); err != nil {
			add("admin.allow_hosts["+strconv.Itoa(i)+"]", err.Error(), "the name alone, such as db7.example.com")
		}
	}
	between := func(path string, d, low, high time.Duration) {
		if d < low || d > high {
			add(path, d.String()+" is out of range", "from "+low.String()+" to "+high.String())
		}
	}
	between("save_every", e.SaveEvery, time.Second, time.Hour)
	between("drain_for", e.DrainFor, 0, 5*time.Minute)
	oneOf := func(path, got string, want ...string) {
		if !slices.Contains(want, got) {
			add(path, strconv.Quote(got)+" is not known", "one of "+strings.Join(want, ", "))
		}
	}
	oneOf("log.level", e.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", e.Log.Format, "text", "json")
	if strings.ContainsAny(e.Audit.Origin, " +\t\n") || e.Audit.Origin == "" {
		add("audit.origin", "the name of a trail has neither blanks nor plus signs", "a host and a name, such as db7.example.com/warehouse")
	}
	if len(e.Managers) > maxManagers {
		add("managers", strconv.Itoa(len(e.Managers))+" are too many", "at most "+strconv.Itoa(maxManagers)+" for one process")
	}
	names := map[string]int{}
	for i := range e.Managers {
		m, path := &e.Managers[i], "managers["+strconv.Itoa(i)+"]"
		if first, ok := names[m.Name]; ok {
			try := "a name of its own"
			add(path+".name", strconv.Quote(m.Name)+" is the name of managers["+strconv.Itoa(first)+"] too", try)
		} else {
			names[m.Name] = i
		}
		for _, err := range each(m.Validate()) {
			at, text := split(err.Error())
			add(path+"."+at, text, "see docs/configuration.md for the values that it may have")
		}
		between(path+".check_every", m.CheckEvery, time.Second, 10*time.Minute)
		url := e.checkURL(m, path, add)
		e.databases = append(e.databases, Database{Named: url != "", URL: url})
	}
	return faults
}

// covered reports whether a value, or something around it, could not be read.
func covered(faults Faults, path string) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		return f.Path == path || f.Path != "" && (strings.HasPrefix(path, f.Path+".") || strings.HasPrefix(path, f.Path+"["))
	})
}

func (e *Effective) checkListen(add func(path, text, try string)) {
	host, port, err := net.SplitHostPort(e.Listen)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n > 65535 {
		add("listen", strconv.Quote(e.Listen)+" is not an address", "host:port, such as 127.0.0.1:7070, or off")
		return
	}
	ip, err := netip.ParseAddr(host)
	if loopback := host == "localhost" || err == nil && ip.IsLoopback(); !loopback && !e.Admin.AllowRemote {
		add("listen", (&admin.RemoteError{Addr: e.Listen}).Error(), "admin.allow_remote: true (--allow-remote), or 127.0.0.1:"+port)
	}
}

func (e *Effective) checkURL(m *Manager, path string, add func(path, text, try string)) string {
	if m.DatabaseURL != "" && m.DatabaseURLFile != "" {
		add(path+".database_url_file", "database_url is there too", "remove one of the two")
		return ""
	}
	at := path + ".database_url"
	if m.DatabaseURLFile != "" {
		at += "_file"
	}
	url, err := m.readURL()
	if err != nil {
		add(at, err.Error(), "a file with the URL in it that the process may read")
		return ""
	}
	if url == "" {
		return ""
	}
	if _, err := pgxpool.ParseConfig(url); err != nil { // its text may hold the password
		add(at, "this is not a connection URL that can be used", "postgres://user:password@host:5432/database; special characters in it as %XX")
		return ""
	}
	return url
}

// each returns the errors that err joins.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// split takes the path off the text of a fault that the library found:
// policies["a: b"].breaker.window: -1s is negative.
func split(text string) (path, rest string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quoted:
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], ": "):
			return text[:i], text[i+2:]
		}
	}
	return "", text
}

// Source returns where a value comes from: of one that is not set, the nearest
// thing around it that is.
func (e *Effective) Source(path string) Source {
	for {
		if s, ok := e.sources[path]; ok && path != "" {
			return s
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return Source{Kind: "default"}
		}
		path = path[:i]
	}
}
