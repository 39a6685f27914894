package pgerr

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"syscall"
)

// facts is a set of things seen in an error tree.
type facts uint16

const (
	canceled     facts = 1 << iota // context.Canceled
	expired                        // context.DeadlineExceeded, not while dialling
	timedOut                       // a deadline of the socket, not while dialling
	lost                           // the connection broke while something may have been in flight
	closed                         // this side closed the connection
	unreached                      // the connection was never made
	exhausted                      // this machine lacks what a connection needs
	misaddressed                   // the address is wrong in itself
	refusedTLS                     // TLS refused before the handshake ended
	alerted                        // the peer sent a TLS alert, perhaps after the handshake
	doubted                        // a SQLSTATE whose effect is unknown
)

// maxErrors bounds the walk, since a tree made by hand may be endless.
const maxErrors = 1000

// evidence is what a walk over an error tree has found.
type evidence struct {
	server  Verdict // on the deciding SQLSTATE; without one, SQLState is ""
	found   facts
	visited int
}

func (e *evidence) has(some facts) bool { return e.found&some != 0 }

// collect walks the tree depth first, as errors.As does, but without its
// allocation for each target. dialling says that a wrapping net.OpError was
// made by a dialler, so that nothing below can have been in flight.
func (e *evidence) collect(err error, dialling bool) {
	for err != nil {
		if e.visited++; e.visited > maxErrors || isNilPointer(err) {
			return
		}
		switch known := err.(type) { //nolint:errorlint // this is the unwrapping loop
		case interface{ SQLState() string }:
			e.addCode(known.SQLState())
		case *url.Error, *fs.PathError:
			return
		case *net.OpError:
			dialling = e.addOp(known) || dialling
		default:
			e.addKnown(err, dialling)
		}
		switch w := err.(type) { //nolint:errorlint // this is the unwrapping loop
		case interface{ Unwrap() error }:
			err = w.Unwrap()
		case interface{ Unwrap() []error }:
			for _, part := range w.Unwrap() {
				e.collect(part, dialling)
			}
			return
		default:
			return
		}
	}
}

func (e *evidence) addCode(code string) {
	if !isSQLState(code) {
		return
	}
	v := ClassifyFields(Fields{SQLState: code})
	if e.server.SQLState == "" || e.server.SQLState == "25P02" {
		e.server = v
	}
	if v.Effect == EffectUnknown {
		e.found |= doubted
	}
}

// addOp notes what the operation of a net.OpError tells, and reports whether
// it was dialling.
func (e *evidence) addOp(op *net.OpError) bool {
	switch op.Op {
	case "dial":
		e.found |= unreached
		return true
	case "remote error": // crypto/tls: an alert of the peer
		e.found |= alerted
	case "read", "write", "writev", "local error":
		// A socket deadline and our own close are told by the error inside.
		if !op.Timeout() && op.Err != net.ErrClosed { //nolint:errorlint // net.OpError holds it bare
			e.found |= lost
		}
	}
	return false
}

// addKnown notes what a single error, not what it wraps, tells.
func (e *evidence) addKnown(err error, dialling bool) {
	switch err { //nolint:errorlint // this is the unwrapping loop
	case context.Canceled:
		e.found |= canceled
		return
	case context.DeadlineExceeded:
		e.add(expired, dialling)
		return
	case io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn:
		e.add(lost, dialling)
		return
	case net.ErrClosed, io.ErrClosedPipe:
		e.add(closed, dialling)
		return
	case os.ErrDeadlineExceeded:
		e.add(timedOut, dialling)
		return
	}
	switch known := err.(type) { //nolint:errorlint // this is the unwrapping loop
	case syscall.Errno:
		e.addErrno(known, dialling)
	case *net.DNSError:
		e.found |= unreached
	case *net.AddrError, *net.ParseError, net.UnknownNetworkError, net.InvalidAddrError:
		e.found |= misaddressed
	case tls.RecordHeaderError:
		// Conn is set only when the very first record was not TLS.
		if known.Conn != nil {
			e.found |= refusedTLS
		} else {
			e.add(lost, dialling)
		}
	case tls.AlertError:
		e.found |= alerted
	case *tls.CertificateVerificationError, *tls.ECHRejectionError,
		x509.CertificateInvalidError, x509.HostnameError, x509.UnknownAuthorityError, x509.SystemRootsError,
		x509.ConstraintViolationError, x509.UnhandledCriticalExtension, x509.InsecureAlgorithmError:
		e.found |= refusedTLS
	case interface{ Is(target error) bool }:
		// The dialler's own "operation was canceled" and "i/o timeout".
		if known.Is(context.Canceled) {
			e.found |= canceled
		} else if known.Is(context.DeadlineExceeded) {
			e.add(expired, dialling)
		}
	case net.Error:
		if known.Timeout() {
			e.add(timedOut, dialling)
		}
	}
}

// addErrno notes an error number of the socket calls. Others, such as those of
// files, are nobody's evidence.
func (e *evidence) addErrno(errno syscall.Errno, dialling bool) {
	switch errno {
	case syscall.ECONNREFUSED:
		e.found |= unreached
	case syscall.EADDRNOTAVAIL:
		e.found |= unreached | exhausted
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS:
		if dialling {
			e.found |= exhausted
		}
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT, syscall.ECONNABORTED, syscall.ENOTCONN, syscall.ESHUTDOWN,
		syscall.ENETRESET, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN:
		e.add(lost, dialling)
	}
}

// add notes a fact about a connection in use, unless it was only being made.
func (e *evidence) add(f facts, dialling bool) {
	if !dialling {
		e.found |= f
	}
}

// isNilPointer reports whether err is a nil pointer in an interface, whose
// methods would panic.
func isNilPointer(err error) bool {
	v := reflect.ValueOf(err)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
