package subject

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// transient says which errors the compositions repeat. It is what a careful program writes with what pgx offers:
//
//   - pgconn.SafeToRetry, whose comment says that such an error "is guaranteed to have occurred before sending any data";
//   - a connection that could not be made (pgconn.ConnectError);
//   - the SQLSTATEs by which the server says that it rolled back and that a repeat may help: conflicts of
//     transactions (40001, 40P01, 55P03), too many connections (53300), a server that shuts down or starts (57P01, 57P02, 57P03).
//
// A connection that ends without a word ("unexpected EOF") and a deadline are not repeated: they may have happened.
func transient(err error) bool {
	if pgconn.SafeToRetry(err) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03":
		return true
	default:
		return strings.HasPrefix(e.Code, "08")
	}
}
