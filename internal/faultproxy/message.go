package faultproxy

import "strings"

// A Message names what a rule looks for on the wire. Its text, which Match.Text
// sees, is given with each.
type Message int

// The messages. Those up to CancelRequest come from the client.
const (
	Startup       Message = iota + 1 // Startup is the login. Text: "user=… database=…" and so on.
	Query                            // Query is a simple query. Text: the SQL, at most its first 16 KiB.
	Parse                            // Parse prepares a statement. Text: the SQL.
	Bind                             // Bind makes a portal of a prepared statement. Text: its SQL.
	Execute                          // Execute runs a portal. Text: its SQL.
	Run                              // Run is a Query or an Execute: the moment a statement starts. Text: the SQL.
	Sync                             // Sync ends a pipeline. No text.
	CopyData                         // CopyData is a chunk that the client copies in. No text.
	CopyDone                         // CopyDone ends what the client copies in. No text.
	Terminate                        // Terminate is the client's goodbye. No text.
	CancelRequest                    // CancelRequest comes on a connection of its own. No text.

	CommandComplete // CommandComplete is the reply to a statement. Text: the tag, such as "COMMIT" or "INSERT 0 1".
	ReadyForQuery   // ReadyForQuery ends the replies. Text: the transaction status, "I", "T" or "E".
	ErrorResponse   // ErrorResponse is an error. Text: the SQLSTATE.
	DataRow         // DataRow is one row of a result. No text.
	ServerCopyData  // ServerCopyData is a chunk that the server copies out. No text.
	Authenticated   // Authenticated is the server's consent to a login. No text.
)

// clientMessage names a type that rules can ask for, and zero for others, which are
// only forwarded. 'd' and 'C' mean different things in each direction.
func clientMessage(kind byte) Message {
	switch kind {
	case 'Q':
		return Query
	case 'P':
		return Parse
	case 'B':
		return Bind
	case 'E':
		return Execute
	case 'S':
		return Sync
	case 'd':
		return CopyData
	case 'c':
		return CopyDone
	case 'X':
		return Terminate
	default:
		return 0
	}
}

func serverMessage(kind byte) Message {
	switch kind {
	case 'C':
		return CommandComplete
	case 'Z':
		return ReadyForQuery
	case 'E':
		return ErrorResponse
	case 'D':
		return DataRow
	case 'd':
		return ServerCopyData
	default:
		return 0
	}
}

// A Match says which messages a rule is about.
type Match struct {
	// Message is the message; it must be set.
	Message Message
	// Text narrows it down by the text that the message carries. Nil means any. It
	// may be called concurrently.
	Text func(string) bool
}

func (m Match) fits(msg Message, text string) bool {
	if m.Message != msg && (m.Message != Run || (msg != Query && msg != Execute)) {
		return false
	}
	return m.Text == nil || m.Text(text)
}

// Is matches a text without regard to case, surrounding space and a final
// semicolon: Is("commit") fits "COMMIT;" as SQL and "COMMIT" as a tag.
func Is(want string) func(string) bool {
	return func(text string) bool {
		return strings.EqualFold(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), ";")), want)
	}
}

// HasPrefix matches a text by its beginning, without regard to case and leading space.
func HasPrefix(prefix string) func(string) bool {
	return func(text string) bool {
		text = strings.TrimSpace(text)
		return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
	}
}

// Contains matches a text by a part of it, without regard to case.
func Contains(part string) func(string) bool {
	part = strings.ToLower(part)
	return func(text string) bool { return strings.Contains(strings.ToLower(text), part) }
}
