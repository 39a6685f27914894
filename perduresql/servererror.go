package perduresql

import (
	"bytes"
	"errors"
	"net"
	"reflect"

	"github.com/perdure/perdure/pgerr"
)

// serverError is an error or notice as the server sent it, for drivers that keep
// it to themselves.
type serverError struct {
	severity string // not localised
	state    string
	message  string
	routine  string
}

// Error returns the severity, the message and the SQLSTATE.
func (e *serverError) Error() string {
	return e.severity + ": " + e.message + " (SQLSTATE " + e.state + ")"
}

// SQLState returns the five-character code.
func (e *serverError) SQLState() string { return e.state }

func (e *serverError) fields() pgerr.Fields {
	return pgerr.Fields{SQLState: e.state, Severity: e.severity, Routine: e.routine, Message: e.message}
}

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
			e.severity = text
		case 'C':
			e.state = text
		case 'M':
			e.message = text
		case 'R':
			e.routine = text
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
	if own, ok := e.(*serverError); ok {
		return own.fields(), true
	}
	if w != nil {
		if last := w.lastError(); last != nil && last.state == e.SQLState() {
			return last.fields(), true
		}
	}
	return driverFields(e), true
}

// driverFields reads the fields of a driver's error by their names, which pgx and
// lib/pq have in common: no driver is imported.
func driverFields(e stater) pgerr.Fields {
	f := pgerr.Fields{SQLState: e.SQLState()}
	v := reflect.ValueOf(e)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return f
	}
	text := func(name string) string {
		if field := v.FieldByName(name); field.IsValid() && field.Kind() == reflect.String {
			return field.String()
		}
		return ""
	}
	f.Routine, f.Message = text("Routine"), text("Message")
	f.Severity = text("SeverityUnlocalized")
	if f.Severity == "" {
		// Translated, unless it is one of these words.
		switch s := text("Severity"); s {
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
