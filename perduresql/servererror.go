package perduresql

import (
	"bytes"
	"errors"
	"net"
	"reflect"

	"github.com/perdure/perdure/pgerr"
	"github.com/perdure/perdure/redact"
)

// serverError is an error or notice as the server sent it, for drivers that keep
// it to themselves. Its fields are named as pgx names them.
type serverError struct {
	SeverityUnlocalized string
	Code                string
	Message             string
	Routine             string
}

// Error returns the severity, the message and the SQLSTATE.
func (e *serverError) Error() string {
	return e.SeverityUnlocalized + ": " + e.Message + " (SQLSTATE " + e.Code + ")"
}

// SQLState returns the five-character code.
func (e *serverError) SQLState() string { return e.Code }

func parseServerError(body []byte) *serverError {
	e := &serverError{}
	for len(body) > 1 {
		kind := body[0]
		end := bytes.IndexByte(body[1:], 0)
		if end < 0 {
			break
		}
		text := string(body[1 : 1+end])
		body = body[end+2:]
		switch kind {
		case 'V':
			e.SeverityUnlocalized = text
		case 'C':
			e.Code = text
		case 'M':
			e.Message = text
		case 'R':
			e.Routine = text
		}
	}
	return e
}

// stater is how drivers show the SQLSTATE of an error.
type stater interface {
	error
	SQLState() string
}

// answerFields returns the fields of the server's answer in err. What the wire
// saw goes before what the driver says, whose severity may be translated.
func answerFields(w *wire, err error) (pgerr.Fields, bool) {
	e, ok := errors.AsType[stater](err)
	if !ok || e.SQLState() == "" {
		return pgerr.Fields{}, false
	}
	if w != nil {
		if last := w.lastError(); last != nil && last.Code == e.SQLState() {
			return driverFields(last), true
		}
	}
	return driverFields(e), true
}

// driverFields reads the fields of a driver's error by their names, which pgx and
// lib/pq have in common: no driver is imported.
func driverFields(e stater) pgerr.Fields {
	known, _ := redact.FieldsOf(e)
	f := pgerr.Fields{SQLState: e.SQLState(), Routine: known.Routine, Message: known.Message}
	v := reflect.ValueOf(e)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return f
	}
	if own := v.FieldByName("SeverityUnlocalized"); own.Kind() == reflect.String && own.String() != "" {
		f.Severity = own.String()
	} else if s := v.FieldByName("Severity"); s.Kind() == reflect.String {
		// Translated, unless it is one of these words.
		switch s := s.String(); s {
		case "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "INFO", "LOG", "DEBUG":
			f.Severity = s
		}
	}
	return f
}

// answerOf returns the SQLSTATE of an answer of the server, and whether it was a plain no.
func answerOf(err error) (state string, refusal bool) {
	f, ok := answerFields(nil, err)
	return f.SQLState, ok && f.Severity == "ERROR"
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}
