package faultproxy

// statements remembers which SQL the prepared statements and portals of one
// connection stand for. It is used by one goroutine.
type statements struct {
	sql     map[string]string // by statement name
	portals map[string]string // by portal name
}

func newStatements() statements {
	return statements{sql: map[string]string{}, portals: map[string]string{}}
}

// inspected reports which of the client's messages are looked into.
func (statements) inspected(kind byte) bool {
	switch kind {
	case 'Q', 'P', 'B', 'E', 'C':
		return true
	default:
		return false
	}
}

// read follows one message of the client and returns its text.
func (s statements) read(f frame) string {
	first, rest := cstring(f.body)
	switch f.kind {
	case 'Q':
		return string(first)
	case 'P':
		text, _ := cstring(rest)
		sql := string(text)
		s.sql[string(first)] = sql
		return sql
	case 'B':
		name, _ := cstring(rest)
		sql := s.sql[string(name)]
		s.portals[string(first)] = sql
		return sql
	case 'E':
		return s.portals[string(first)]
	case 'C': // Close: 'S' or 'P', then the name
		if len(first) == 0 {
			return ""
		}
		known := s.sql
		if first[0] == 'P' {
			known = s.portals
		}
		delete(known, string(first[1:]))
	}
	return ""
}
