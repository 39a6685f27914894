package pgerr

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stateError is what any driver's error of the server looks like.
type stateError string

func (e stateError) Error() string    { return "server: " + string(e) }
func (e stateError) SQLState() string { return string(e) }

// safeError claims, as pgx's lock error does, that nothing was sent.
type safeError struct{ inner error }

func (e *safeError) Error() string     { return "conn closed" }
func (e *safeError) SafeToRetry() bool { return true }
func (e *safeError) Unwrap() error     { return e.inner }

// pointerError panics in every method when it is a nil pointer.
type pointerError struct{ code string }

func (e *pointerError) Error() string    { return e.code }
func (e *pointerError) SQLState() string { return e.code }

// timeoutError is a net.Error that is nothing else.
type timeoutError bool

func (e timeoutError) Error() string   { return "slow" }
func (e timeoutError) Timeout() bool   { return bool(e) }
func (e timeoutError) Temporary() bool { return false }

// isError stands for another error by its Is method, as the dialler's do.
type isError struct{ target error }

func (e isError) Error() string        { return "stands for " + e.target.Error() }
func (e isError) Is(target error) bool { return target == e.target }

// loopError wraps itself, twice, so that a walk without bound never ends.
type loopError struct{}

func (e loopError) Error() string   { return "loop" }
func (e loopError) Unwrap() []error { return []error{e, e} }

func opError(op string, inner error) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError("connect", inner)}
}

// The verdicts that errors without a code can get.
var (
	nobodyKnows = Verdict{Effect: EffectUnknown}
	inFlight    = Verdict{"", CategoryConnection, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase}
	neverMade   = Verdict{"", CategoryConnection, SeverityHigh, RetryWait, EffectNone, ScopeDatabase}
	ownClose    = Verdict{"", CategoryConnection, SeverityHigh, RetryReconnect, EffectUnknown, ScopeNone}
	tooSlow     = Verdict{"", CategoryTimeout, SeverityMedium, RetryReconnect, EffectUnknown, ScopeOperation}
	misset      = Verdict{"", CategoryConfiguration, SeverityHigh, RetryNever, EffectNone, ScopeNone}
	noRoom      = Verdict{"", CategoryResource, SeverityHigh, RetryWait, EffectNone, ScopeNone}
	ownCancel   = Verdict{"", CategoryCanceled, SeverityLow, RetryNever, EffectUnknown, ScopeNone}
)

// shapes are the error trees that drivers, dialler and programs make, with
// what each means.
func shapes() []struct {
	name string
	err  error
	want Verdict
} {
	serialization := Verdict{"40001", CategoryTransient, SeverityMedium, RetryTransaction, EffectNone, ScopeNone}
	unsure := func(v Verdict) Verdict { v.Effect = EffectUnknown; return v }
	none := func(v Verdict) Verdict { v.Effect = EffectNone; return v }
	return []struct {
		name string
		err  error
		want Verdict
	}{
		{"nil", nil, Verdict{}},
		{"an application's own error", errors.New("no such customer"), nobodyKnows},
		{"an error of a file", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, nobodyKnows},
		{"a broken pipe of a file", &fs.PathError{Op: "write", Path: "x", Err: syscall.EPIPE}, nobodyKnows},
		{"an HTTP call that lost its own connection", &url.Error{Op: "Get", Err: io.EOF}, nobodyKnows},
		{"a bare error number of no socket", syscall.ENOENT, nobodyKnows},
		{"a full descriptor table while not dialling", syscall.EMFILE, nobodyKnows},

		{"a code", stateError("40001"), serialization},
		{"a code, wrapped", fmt.Errorf("load: %w", stateError("40001")), serialization},
		{"a code, joined after another error", errors.Join(errors.New("x"), stateError("40001")), serialization},
		{"a code beside a later one", errors.Join(stateError("40001"), stateError("25P02")), serialization},
		{"25P02 hides no code", errors.Join(stateError("25P02"), stateError("40001")), serialization},
		{"25P02 alone", stateError("25P02"), Verdict{"25P02", CategoryTransaction, SeverityLow, RetryNever, EffectNone, ScopeNone}},
		{"a code beside one that leaves the effect open", errors.Join(stateError("40001"), stateError("57P01")), unsure(serialization)},
		{"a code beside a lost connection", errors.Join(stateError("40001"), io.EOF), unsure(serialization)},
		{"a code beside a context error", fmt.Errorf("%w: %w", context.DeadlineExceeded, stateError("40001")), serialization},
		{
			"57014 beside the caller's cancel", fmt.Errorf("%w: %w", context.Canceled, stateError("57014")),
			Verdict{"57014", CategoryCanceled, SeverityLow, RetryNever, EffectNone, ScopeNone},
		},
		{"an empty code", stateError(""), nobodyKnows},
		{"a malformed code", stateError("4000"), nobodyKnows},
		{"a nil pointer of a driver's error", (*pointerError)(nil), nobodyKnows},
		{"a code by pointer", &pointerError{"40001"}, serialization},

		{"P14: safe to retry is no evidence", &safeError{}, nobodyKnows},
		{"P14: nor does it excuse a lost connection", &safeError{inner: io.ErrUnexpectedEOF}, inFlight},

		{"refused", opError("dial", syscall.ECONNREFUSED), neverMade},
		{"refused, bare", syscall.ECONNREFUSED, neverMade},
		{"refused on each address", errors.Join(opError("dial", syscall.ECONNREFUSED), opError("dial", syscall.EHOSTUNREACH)), neverMade},
		{"no socket file", opError("dial", syscall.ENOENT), neverMade},
		{"dialling took too long", opError("dial", syscall.ETIMEDOUT), neverMade},
		{"dialling ran into the context's deadline", &net.OpError{Op: "dial", Err: isError{context.DeadlineExceeded}}, neverMade},
		{"dialling reset", opError("dial", syscall.ECONNRESET), neverMade},
		{"dialling cancelled", &net.OpError{Op: "dial", Err: isError{context.Canceled}}, none(ownCancel)},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, neverMade},
		{"no such host, bare", &net.DNSError{IsTimeout: true}, neverMade},
		{"one address refused, another lost in its start", errors.Join(opError("dial", syscall.ECONNREFUSED), io.ErrUnexpectedEOF), inFlight},
		{"one address refused, another too slow", errors.Join(opError("dial", syscall.ECONNREFUSED), context.DeadlineExceeded), unsure(neverMade)},
		{"out of descriptors", opError("dial", syscall.EMFILE), noRoom},
		{"out of local ports", opError("dial", syscall.EADDRNOTAVAIL), noRoom},
		{"an address without a port", &net.OpError{Op: "dial", Err: &net.AddrError{Err: "missing port in address"}}, misset},
		{"a network that does not exist", &net.OpError{Op: "dial", Err: net.UnknownNetworkError("tpc")}, misset},

		{"reset while reading", opError("read", syscall.ECONNRESET), inFlight},
		{"reset while writing", opError("write", syscall.ECONNRESET), inFlight},
		{"broken pipe", opError("write", syscall.EPIPE), inFlight},
		{"reset, bare", syscall.ECONNRESET, inFlight},
		{"the peer stopped answering", opError("read", syscall.ETIMEDOUT), inFlight},
		{"the peer stopped answering, bare", syscall.ETIMEDOUT, inFlight},
		{"a read error nobody has named", &net.OpError{Op: "read", Err: errors.New("odd")}, inFlight},
		{"end of file", io.EOF, inFlight},
		{"unexpected end of file, wrapped", fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), inFlight},
		{"a bad connection of database/sql", driver.ErrBadConn, inFlight},
		{"closed by this side", &net.OpError{Op: "write", Err: net.ErrClosed}, ownClose},
		{"a closed pipe", io.ErrClosedPipe, ownClose},
		{"closed by this side, and lost", errors.Join(net.ErrClosed, io.EOF), inFlight},

		{"a socket's deadline", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, tooSlow},
		{"a socket's deadline, bare", os.ErrDeadlineExceeded, tooSlow},
		{"a net.Error with timeout", timeoutError(true), tooSlow},
		{"a net.Error without", timeoutError(false), nobodyKnows},
		{"a context's deadline", context.DeadlineExceeded, tooSlow},
		{"a context's deadline, by Is", isError{context.DeadlineExceeded}, tooSlow},
		{"the caller's cancel", context.Canceled, ownCancel},
		{"the caller's cancel, by Is", isError{context.Canceled}, ownCancel},
		{"the caller's cancel beside what it broke", errors.Join(io.EOF, context.Canceled), ownCancel},
		{"an Is method that stands for neither", isError{io.EOF}, nobodyKnows},

		{"a server without TLS", tls.RecordHeaderError{Conn: &net.TCPConn{}}, misset},
		{"a broken record later", tls.RecordHeaderError{}, inFlight},
		{"an unknown authority", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, misset},
		{"another host's certificate", x509.HostnameError{Certificate: &x509.Certificate{}}, misset},
		{"an expired certificate", x509.CertificateInvalidError{Reason: x509.Expired}, misset},
		{"the server refuses our certificate", &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, unsure(misset)},
		{"a TLS alert", tls.AlertError(42), unsure(misset)},

		{"a tree without end", loopError{}, nobodyKnows},
	}
}

func TestClassify(t *testing.T) {
	for _, tt := range shapes() {
		t.Run(tt.name, func(t *testing.T) {
			got := Classify(tt.err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Classify(%T) (-want +got):\n%s", tt.err, diff)
			}
			checkVerdict(t, got)
		})
	}
}

func TestClassifyConnectSaysThatNothingRan(t *testing.T) {
	for _, tt := range shapes() {
		got := ClassifyConnect(tt.err)
		if got.Effect != EffectNone {
			t.Errorf("%s: effect %v, want none", tt.name, got.Effect)
		}
		if got.Retry == RetryReconnect && got.SQLState == "" {
			t.Errorf("%s: retry %v, but there is no connection to replace", tt.name, got.Retry)
		}
		if (got.Retry == RetryNever) != (tt.want.Retry == RetryNever) {
			t.Errorf("%s: retry %v, in flight %v", tt.name, got.Retry, tt.want.Retry)
		}
	}
	for _, err := range []error{io.ErrUnexpectedEOF, context.DeadlineExceeded, opError("read", syscall.ECONNRESET)} {
		if got := ClassifyConnect(err); got != neverMade {
			t.Errorf("ClassifyConnect(%v) = %+v, want %+v", err, got, neverMade)
		}
	}
}

// Real sockets, since the shapes above are only what we believe they make.
func TestClassifyWhatTheNetPackageReallyReturns(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	client, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()

	_, err = net.Dial("tcp", address)
	expect(t, "dial a closed port", err, neverMade)
	_, err = net.Dial("unix", t.TempDir()+"/none")
	expect(t, "dial a missing socket file", err, neverMade)
	_, err = net.Dial("tcp", "127.0.0.1")
	expect(t, "dial without a port", err, misset)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = (&net.Dialer{}).DialContext(done, "tcp", address)
	expect(t, "dial under a cancelled context", err, Verdict{Category: CategoryCanceled})

	var one [1]byte
	if err := client.SetReadDeadline(past()); err != nil {
		t.Fatal(err)
	}
	_, err = client.Read(one[:])
	expect(t, "read past the deadline", err, tooSlow)
	if err := client.SetReadDeadline(never()); err != nil {
		t.Fatal(err)
	}
	if err := server.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	server.Close() // linger 0: a reset
	_, err = client.Read(one[:])
	expect(t, "read after a reset", err, inFlight)
	client.Close()
	_, err = client.Write(one[:])
	expect(t, "write after our own close", err, ownClose)
}

func TestClassifyWhatTheTLSPackageReallyReturns(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		// A server that speaks no TLS, as PostgreSQL would answer garbage.
		var hello [4096]byte
		if _, err := far.Read(hello[:]); err == nil {
			_, _ = far.Write([]byte("EFATAL: no TLS here"))
		}
	}()
	err := tls.Client(near, &tls.Config{ServerName: "db.example", MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
	near.Close()
	expect(t, "handshake with a server without TLS", err, misset)
}

func expect(t *testing.T, what string, err error, want Verdict) {
	t.Helper()
	if diff := cmp.Diff(want, Classify(err)); diff != "" {
		t.Errorf("%s: Classify(%#v) (-want +got):\n%s", what, err, diff)
	}
}
