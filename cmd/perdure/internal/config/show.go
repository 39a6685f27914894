package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Hidden stands in the place of a secret.
const Hidden = "[hidden]"

// Value is one value that is in force, for people.
type Value struct {
	Path   string
	Text   string // secrets hidden
	Source Source
}

// Values returns what is in force: every value of perdure serve itself, and of
// the Managers' those that are set. What a Manager's configuration leaves out
// has the default of docs/configuration.md.
func (e *Effective) Values() []Value {
	var all []Value
	e.walk(reflect.ValueOf(&e.Config).Elem(), "", &all)
	for _, t := range []struct{ path, variable, token string }{
		{"admin.token", adminVariable, e.adminToken}, {"admin.read_token", readVariable, e.readToken},
	} {
		if t.token != "" {
			all = append(all, Value{t.path, Hidden, Source{Kind: "env", Name: t.variable}})
		}
	}
	return all
}

func (e *Effective) walk(v reflect.Value, path string, all *[]Value) {
	if v.Type() == durationType {
		e.leaf(path, time.Duration(v.Int()).String(), all)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			inner := v.FieldByIndex(f.index)
			// Of the library's own configuration only what is set: the rest would be hundreds of zeros.
			if len(f.index) > 1 && f.name != "name" && inner.IsZero() || strings.Count(path, ".") > 0 && inner.IsZero() {
				continue
			}
			e.walk(inner, join(path, f.name), all)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, key := range keys {
			e.walk(v.MapIndex(key), fmt.Sprintf("%s[%q]", path, key.String()), all)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			e.leaf(path, "", all)
		}
		for i := range v.Len() {
			e.walk(v.Index(i), path+"["+strconv.Itoa(i)+"]", all)
		}
	default:
		text := fmt.Sprint(v.Interface())
		if strings.HasSuffix(path, ".database_url") {
			text = e.place(text)
		}
		e.leaf(path, text, all)
	}
}

func (e *Effective) leaf(path, text string, all *[]Value) {
	s, ok := e.sources[path]
	if list, _, found := strings.Cut(path, "["); !ok && found && !strings.HasPrefix(path, "managers[") {
		s, ok = e.sources[list] // a variable sets the list as a whole
	}
	if !ok {
		s = Source{Kind: "default"}
	}
	*all = append(*all, Value{path, text, s})
}

// place returns where a Manager's database is, "" if nothing names one.
func (e *Effective) place(dsn string) string {
	if dsn == "" && (len(e.databases) != 1 || !e.databases[0].Named || e.Managers[0].DatabaseURLFile != "") {
		return ""
	}
	return HideURL(dsn)
}

// HideURL returns where a connection URL leads, without its password and its
// options. What it leaves out is taken from PG* variables, as the driver does.
func HideURL(dsn string) string {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return Hidden
	}
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), Path: "/" + c.Database}
	if strings.HasPrefix(c.Host, "/") { // a directory of sockets
		u.Host, u.RawQuery = "", url.Values{"host": {c.Host}, "port": {strconv.Itoa(int(c.Port))}}.Encode()
	}
	user := url.PathEscape(c.User)
	if c.Password != "" {
		user += ":" + Hidden
	}
	return strings.Replace(u.String(), "://", "://"+user+"@", 1)
}
