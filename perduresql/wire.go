package perduresql

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
)

// wire is the witness of one connection: what was written on it, how reading
// ended, and what the server said.
type wire struct {
	net.Conn

	d            *Dialer
	written      atomic.Int64 // without the farewell
	committing   atomic.Bool  // a COMMIT is pending or in doubt: no CancelRequest
	unreplicated atomic.Bool  // a commit is done, but somebody ended its wait for the standbys
	commits      atomic.Int64 // COMMIT and PREPARE TRANSACTION that the server reported

	mu      sync.Mutex // guards the fields below
	scan    scanner
	readErr error        // why reading ended
	parting *serverError // FATAL, or 57P01 or 57P02 as a notice, before the end
	last    *serverError // the last ErrorResponse
	txErr   *serverError // the one that moved the transaction from T to E
	pid     uint32
	status  byte       // of the transaction: I, T or E; zero if it is not known
	rows    [][]string // that were read since capture
}

// backend returns the process that serves w, zero if it is not known, and
// whether w is encrypted.
func (w *wire) backend() (pid uint32, opaque bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pid, w.scan.opaque
}

// Write counts what was written.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.scan.sent(p)
	w.mu.Unlock()
	n, err := w.Conn.Write(p)
	if len(p) != 5 || p[0] != 'X' {
		w.written.Add(int64(n))
	}
	return n, err
}

// Read notes what the server says.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scan.received(p[:n], w.saw)
	if err != nil && w.readErr == nil && !isTimeout(err) {
		w.readErr = err
	}
	return n, err
}

// Close closes the connection.
func (w *wire) Close() error {
	w.d.gone(w)
	return w.Conn.Close()
}

// saw takes a message of the server. w.mu is held.
func (w *wire) saw(kind byte, body []byte) {
	switch kind {
	case 'K':
		if len(body) >= 4 {
			w.pid = uint32(body[0])<<24 | uint32(body[1])<<16 | uint32(body[2])<<8 | uint32(body[3])
		}
	case 'Z':
		if len(body) == 1 {
			w.status = body[0]
		}
	case 'D':
		w.rows = append(w.rows, parseRow(body))
	case 'C':
		switch string(body) {
		case "COMMIT\x00", "PREPARE TRANSACTION\x00":
			w.commits.Add(1)
		}
	case 'E':
		e := parseServerError(body)
		w.last = e
		if w.status == 'T' {
			w.txErr = e
		}
		if e.SeverityUnlocalized != "ERROR" {
			w.parting = e
		}
	case 'N':
		e := parseServerError(body)
		if e.Routine == "SyncRepWaitForLSN" {
			w.unreplicated.Store(true)
		}
		if len(e.Code) == 5 && e.Code[:3] == "57P" {
			w.parting = e
		}
	}
}

// capture makes w keep the rows that the server sends, until captured is called.
// It reports false where they cannot be seen.
func (w *wire) capture() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scan.rows, w.rows = !w.scan.opaque && w.pid != 0, nil
	return w.scan.rows
}

// captured returns the rows since capture, as the server wrote them; NULL is "".
func (w *wire) captured() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows := w.rows
	w.scan.rows, w.rows = false, nil
	return rows
}

// parseRow reads a DataRow; what is cut off is left out.
func parseRow(body []byte) []string {
	var row []string
	for b := body[min(2, len(body)):]; len(b) >= 4; {
		n := int(int32(binary.BigEndian.Uint32(b))) //nolint:gosec // -1 is NULL
		b = b[4:]
		if n > len(b) {
			break
		}
		n = max(n, 0)
		row = append(row, string(b[:n]))
		b = b[n:]
	}
	return row
}

// known returns what is known of the end of the connection.
func (w *wire) known() (parting *serverError, readErr error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.parting, w.readErr
}

// lastError returns the last ErrorResponse, or nil.
func (w *wire) lastError() *serverError {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// reset begins a new use of the connection.
func (w *wire) reset() {
	w.unreplicated.Store(false)
	w.mu.Lock()
	w.last, w.txErr = nil, nil
	w.mu.Unlock()
}

// state returns the status of the transaction, zero if it is not known, and what aborted it.
func (w *wire) state() (status byte, txErr *serverError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, w.txErr
}

// cut closes the socket, so that no driver waits on it any longer.
func (w *wire) cut() { _ = w.Conn.Close() }
