package pgerr

// Classify says what an error means, by looking at everything that it wraps
// (Unwrap() error and Unwrap() []error, the first 1,000 errors of a tree).
// It matches by type and behaviour and knows no driver. Nil gives the zero
// Verdict. The first of these that is found decides:
//
//  1. A method SQLState() string that returns a well-formed code: the server
//     answered, see [ClassifyFields] with nothing but the code. Of several
//     codes the first decides, 25P02 only when it is alone, and the effect is
//     unknown if one of them, or a connection lost beside them, says so. 57014
//     beside context.Canceled is the caller's own cancel.
//  2. context.Canceled: category canceled, neutral.
//  3. A certificate or a protocol that TLS refused: configuration, never
//     repeated. Nothing ran if it was refused before the handshake ended.
//  4. A connection lost in flight: read and write errors of net.OpError,
//     ECONNRESET, EPIPE and their like, io.EOF, io.ErrUnexpectedEOF,
//     driver.ErrBadConn, net.ErrClosed: reconnect, effect unknown. It is
//     evidence for the database, except net.ErrClosed alone: this side closed.
//  5. A connection that never was: net.OpError with Op "dial", ECONNREFUSED,
//     net.DNSError: nothing ran, come back later; evidence for the database,
//     except when this machine is short of descriptors or ports.
//  6. A deadline of the socket (net.Error with Timeout) or of a context:
//     timeout, reconnect, effect unknown.
//  7. Anything else is an error that nobody knows: category unknown, never
//     repeated, effect unknown, evidence for nobody.
//
// Whose context ended Classify cannot see. The caller's own deadline and an
// attempt's time limit both are context.DeadlineExceeded; the Manager, which
// made the one and was given the other, decides.
//
// Errors of other peoples' connections are not looked into: what *url.Error
// and *fs.PathError wrap says nothing about a database. But fn must not hand
// on a bare io.EOF of its own input: it looks like a lost connection.
//
// Two errors of pgx cannot be told by behaviour, and are the adapter's work.
// "conn closed" (pgconn.ErrConnClosed) shows nothing but a SafeToRetry that is
// true for commits that did happen, and so is an error that nobody knows:
// SafeToRetry is never consulted. And a *pgconn.ConnectError proves that
// nothing ran, whatever is inside: give it to [ClassifyConnect].
//
// Classify does not allocate, does not call As methods, and may be called
// concurrently.
func Classify(err error) (v Verdict) {
	if err == nil {
		return v
	}
	if code := bareCode(err); code != "" {
		v.byCode(code)
		return v
	}
	var e evidence
	e.collect(err, false)
	return e.verdict()
}

// bareCode returns the SQLSTATE of an error that wraps nothing, as a driver's
// own error is: nothing else can decide, so that no tree has to be walked.
func bareCode(err error) string {
	known, ok := err.(interface{ SQLState() string })
	if !ok || isNilPointer(err) {
		return ""
	}
	switch err.(type) { //nolint:errorlint // only the error itself
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		return ""
	}
	if code := known.SQLState(); isSQLState(code) {
		return code
	}
	return ""
}

// ClassifyConnect is [Classify] for an error met while connecting, from
// dialling to the server's ReadyForQuery, before any statement was sent:
// nothing ran, whatever the error. What Classify calls a connection lost or a
// time limit reached in flight is then a server that cannot be reached:
// category connection, come back later, evidence for the database.
func ClassifyConnect(err error) Verdict {
	v := Classify(err)
	if err == nil {
		return v
	}
	v.Effect = EffectNone
	if v.SQLState == "" && (v.Category == CategoryConnection || v.Category == CategoryTimeout) {
		v.Category, v.Severity, v.Retry = CategoryConnection, SeverityHigh, RetryWait
		if v.Trips == ScopeOperation {
			v.Trips = ScopeDatabase
		}
	}
	return v
}

// verdict weighs what was found, in the order that Classify documents.
func (e *evidence) verdict() Verdict {
	effect := EffectNone
	if e.has(lost | closed | timedOut | expired | alerted) {
		effect = EffectUnknown
	}
	switch {
	case e.server.SQLState != "":
		return e.serverVerdict()
	case e.has(canceled):
		if !e.has(unreached) {
			effect = EffectUnknown
		}
		return Verdict{Category: CategoryCanceled, Effect: effect}
	case e.has(refusedTLS | alerted | misaddressed):
		return Verdict{Category: CategoryConfiguration, Severity: SeverityHigh, Effect: effect}
	case e.has(lost | closed):
		trips := ScopeDatabase
		if !e.has(lost) {
			trips = ScopeNone
		}
		return Verdict{Category: CategoryConnection, Severity: SeverityHigh, Retry: RetryReconnect, Effect: EffectUnknown, Trips: trips}
	case e.has(exhausted):
		return Verdict{Category: CategoryResource, Severity: SeverityHigh, Retry: RetryWait, Effect: effect}
	case e.has(unreached):
		return Verdict{Category: CategoryConnection, Severity: SeverityHigh, Retry: RetryWait, Effect: effect, Trips: ScopeDatabase}
	case e.has(timedOut | expired):
		return Verdict{Category: CategoryTimeout, Severity: SeverityMedium, Retry: RetryReconnect, Effect: EffectUnknown, Trips: ScopeOperation}
	}
	return unknown()
}

// serverVerdict judges by the code that was found. Context errors beside it
// take nothing away from what the server said; a lost connection does.
func (e *evidence) serverVerdict() Verdict {
	v := e.server
	if v.SQLState == "57014" && e.has(canceled) {
		v.Category, v.Severity, v.Retry, v.Trips = CategoryCanceled, SeverityLow, RetryNever, ScopeNone
	}
	if e.has(doubted | lost | closed | timedOut) {
		v.Effect = EffectUnknown
	}
	return v
}
