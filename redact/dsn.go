package redact

import (
	"net/url"
	"slices"
	"strings"
)

// DSN returns a connection string of PostgreSQL, as a URL or as key = value
// pairs, that may be logged: host, port, database and user, and those options
// whose values are words of a fixed set or numbers. All other values, those of
// options that it does not know included, are replaced by [Mark]:
//
//	postgres://app:[redacted]@db.example:5432/shop?sslmode=verify-full
//	host=db.example user=app password=[redacted] sslpassword=[redacted]
//
// Of a string in which the place of the password is not certain nothing but the
// scheme is kept: more than one @, a key that is given twice, a quote that does
// not end, a port that is not a number.
func DSN(dsn string) string {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if len(dsn) >= len(scheme) && strings.EqualFold(dsn[:len(scheme)], scheme) {
			s, ok := urlDSN(dsn[len(scheme):])
			if !ok {
				s = Mark
			}
			return bound(scheme+s, MaxText)
		}
	}
	if s, ok := pairsDSN(dsn); ok {
		return bound(s, MaxText)
	}
	return Mark
}

// urlDSN redacts what follows the scheme.
func urlDSN(s string) (string, bool) {
	rest, query, hasQuery := strings.Cut(s, "?")
	authority, path, hasPath := strings.Cut(rest, "/")
	var b strings.Builder
	user, hosts, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		user, hosts = "", authority
	}
	if strings.ContainsAny(hosts+path+query, "@#`'\" ") || !isHosts(hosts) {
		return "", false
	}
	if hasUser {
		user, _, hasPassword := strings.Cut(user, ":")
		b.WriteString(plainOr(user))
		if hasPassword {
			b.WriteString(":" + Mark)
		}
		b.WriteString("@")
	}
	b.WriteString(hosts)
	if hasPath {
		b.WriteString("/" + plainOr(path))
	}
	if !hasQuery {
		return b.String(), true
	}
	sep := "?"
	var seen []string
	for pair := range strings.SplitSeq(query, "&") {
		raw, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(raw)
		if err != nil || slices.Contains(seen, key) {
			return "", false
		}
		seen = append(seen, key)
		b.WriteString(sep + option(key, value))
		sep = "&"
	}
	return b.String(), true
}

// pairsDSN redacts key = value pairs, by the rules of libpq: white space
// around = and between pairs, values in single quotes, backslash escapes.
func pairsDSN(s string) (string, bool) {
	var out, seen []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " \t\r\n") {
		key, rest, ok := strings.Cut(s, "=")
		key = strings.TrimSpace(key)
		if !ok || !isWord(key) || slices.Contains(seen, key) {
			return "", false
		}
		seen = append(seen, key)
		value, rest, ok := pairValue(strings.TrimLeft(rest, " \t\r\n"))
		if !ok {
			return "", false
		}
		out = append(out, option(key, value))
		s = rest
	}
	return strings.Join(out, " "), len(out) > 0
}

// pairValue splits off one value.
func pairValue(s string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case quoted && c == '\'':
			rest := s[i+1:]
			return b.String(), rest, rest == "" || strings.IndexByte(" \t\r\n", rest[0]) >= 0
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			return b.String(), s[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}

// option returns key=value with what is not known to be harmless redacted.
func option(key, value string) string {
	switch key {
	case "host", "hostaddr", "port", "user", "dbname":
		if isHosts(value) && value != "" || isWord(value) {
			return key + "=" + value
		}
		return key + "=" + Mark
	case "sslmode", "target_session_attrs", "sslnegotiation", "channel_binding", "gssencmode", "load_balance_hosts",
		"default_query_exec_mode", "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
		"tcp_user_timeout", "replication", "pool_max_conns", "pool_min_conns", "pool_max_conn_lifetime", "pool_max_conn_idle_time",
		"pool_health_check_period", "statement_cache_capacity":
		if harmlessValue(value) {
			return key + "=" + value
		}
		return key + "=" + Mark
	case "password", "sslpassword", "passfile", "sslkey", "sslcert", "sslrootcert", "service", "servicefile", "options", "application_name",
		"search_path", "krbsrvname", "require_auth":
		return key + "=" + Mark
	}
	return Mark + "=" + Mark
}

// harmlessValue reports whether value is a number, a duration, or one of the
// words that options of a fixed set take.
func harmlessValue(value string) bool {
	digits := strings.TrimLeft(value, "0123456789")
	if digits != value && len(value) <= 12 {
		return word(digits, "s", "m", "h", "ms", "m0s", "h0m0s") != "" || digits == ""
	}
	return word(value, "disable", "allow", "prefer", "require", "verify-ca", "verify-full", "any", "read-write", "read-only",
		"primary", "standby", "prefer-standby", "postgres", "direct", "random", "true", "false", "on", "off", "database",
		"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol") != ""
}

// isHosts reports whether s is a list of hosts with numeric ports.
func isHosts(s string) bool {
	for element := range strings.SplitSeq(s, ",") {
		host, port := element, ""
		if i := strings.LastIndexByte(element, ':'); i >= 0 && !strings.HasSuffix(element, "]") {
			host, port = element[:i], element[i+1:]
		}
		if strings.Trim(port, "0123456789") != "" || len(port) > 5 {
			return false
		}
		if inner, ok := strings.CutPrefix(host, "["); ok {
			inner, ok = strings.CutSuffix(inner, "]")
			if !ok || strings.Trim(inner, "0123456789abcdefABCDEF:.") != "" {
				return false
			}
			continue
		}
		if !isWord(host) && host != "" {
			return false
		}
	}
	return true
}

// plainOr returns s if it needs no quoting anywhere, and Mark otherwise.
func plainOr(s string) string {
	if s == "" || isWord(s) {
		return s
	}
	return Mark
}

// isWord reports whether s is 1 to 63 of letters, digits, '_', '-' and '.'.
func isWord(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
