package perdurepgx

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"
)

// However the answer is cut, and whatever notices come between, the driver gets
// what is its own and nothing of the answer to BEGIN.
func TestTheAnswerToBeginIsTakenOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stream, want []byte
		send := func(own bool, m pgproto3.BackendMessage) {
			b, err := m.Encode(nil)
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, b...)
			if own {
				want = append(want, b...)
			}
		}
		noise := func() {
			for range rapid.IntRange(0, 2).Draw(t, "notices") {
				text := string(make([]byte, rapid.IntRange(1, 3*lateBuffer).Draw(t, "length")))
				send(true, &pgproto3.NotificationResponse{Channel: "c", Payload: "p" + text[:0]})
				send(true, &pgproto3.NoticeResponse{Severity: "NOTICE", Message: string(bytes.Repeat([]byte("x"), len(text)))})
			}
		}
		xid, refused := rapid.Bool().Draw(t, "xid"), rapid.Bool().Draw(t, "refused")
		var l lateBegin
		if err := l.wait("begin", xid); err != nil {
			t.Fatal(err)
		}
		noise()
		if refused {
			send(true, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014"})
			send(false, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		} else {
			send(false, &pgproto3.ParseComplete{})
			send(false, &pgproto3.BindComplete{})
			noise()
			send(false, &pgproto3.CommandComplete{CommandTag: []byte("BEGIN")})
			if xid {
				send(false, &pgproto3.BindComplete{})
				send(false, &pgproto3.DataRow{Values: [][]byte{[]byte("742")}})
				send(false, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
			}
			send(true, &pgproto3.BindComplete{})
			send(true, &pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")})
			send(true, &pgproto3.ReadyForQuery{TxStatus: 'T'})
		}
		var r io.Reader = bytes.NewReader(stream)
		switch rapid.IntRange(0, 2).Draw(t, "cut") {
		case 1:
			r = iotest.OneByteReader(r)
		case 2:
			r = iotest.HalfReader(r)
		}
		got, err := l.read(r)
		if err != nil {
			t.Fatalf("read() = %v", err)
		}
		if !refused {
			rest, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			got = append(bytes.Clone(got), rest...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the driver gets %q, want %q", got, want)
		}
		if l.is(lateRefused) != refused || l.is(lateBegun) == refused || !refused && xid != (l.row == "742") {
			t.Errorf("refused %v, begun %v, row %q; want refused %v", l.is(lateRefused), l.is(lateBegun), l.row, refused)
		}
	})
}

func TestWhatCouldOvertakeABeginIsNotSent(t *testing.T) {
	t.Parallel()
	var l lateBegin
	if err := l.wait("begin", false); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	query, err := (&pgproto3.Query{String: "delete from t"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.write(&out, query); !errors.Is(err, errBeginWaits) || out.Len() != 0 {
		t.Errorf("write() of a simple query = %v with %d bytes sent, want %v", err, out.Len(), errBeginWaits)
	}
	two, err := (&pgproto3.Close{ObjectType: 'S', Name: "x"}).Encode(nil)
	if err == nil {
		two, err = (&pgproto3.Sync{}).Encode(two)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string][]byte{"a query behind a Sync": append(bytes.Clone(two), query...), "half a message": two[:len(two)-1], "nothing": nil} {
		if _, err := l.write(&out, p); !errors.Is(err, errBeginWaits) || out.Len() != 0 {
			t.Errorf("write() of %s = %v with %d bytes sent, want %v", name, err, out.Len(), errBeginWaits)
		}
	}
	if n, err := l.write(&out, two); err != nil || n != len(two) {
		t.Errorf("write() of one pipeline = %d, %v, want %d", n, err, len(two))
	}
	out.Reset()
	w := &wire{}
	w.late.state.Store(lateWaiting)
	if _, err := (&rawConn{w: w}).Write(query); !errors.Is(err, errBeginWaits) {
		t.Errorf("Write() past the frontend = %v, want %v", err, errBeginWaits)
	}
	for name, state := range map[string]int32{"before the answer to BEGIN": lateSent, "after its refusal": lateRefused} {
		w.late.state.Store(state)
		if _, err := (&wireWriter{out: &out, w: w}).Write(query); !errors.Is(err, errBeginWaits) || out.Len() != 0 {
			t.Errorf("Write() %s = %v with %d bytes sent, want %v", name, err, out.Len(), errBeginWaits)
		}
	}
}

// A long statement is not kept for the sake of the next one.
func TestALongFirstStatementIsNotKept(t *testing.T) {
	t.Parallel()
	var l lateBegin
	if err := l.wait("begin", false); err != nil {
		t.Fatal(err)
	}
	p, err := (&pgproto3.Parse{Query: strings.Repeat("x", 1<<20)}).Encode(nil)
	if err == nil {
		p, err = (&pgproto3.Sync{}).Encode(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.write(io.Discard, p); err != nil || n != len(p) || cap(l.prefix) > lateBuffer {
		t.Errorf("write() = %d, %v, and keeps %d bytes; want %d, and at most %d", n, err, cap(l.prefix), len(p), lateBuffer)
	}
}

// What the server says before it hangs up reaches the driver.
func TestAWarningBeforeTheEndIsPassedOn(t *testing.T) {
	t.Parallel()
	var l lateBegin
	if err := l.wait("begin", false); err != nil {
		t.Fatal(err)
	}
	l.state.Store(lateSent)
	warning, err := (&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "57P02", Message: "crash"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	stream := bytes.NewReader(warning)
	if got, err := l.read(stream); err != nil || !bytes.Equal(got, warning) {
		t.Errorf("read() = %q, %v, want the warning", got, err)
	}
	if got, err := l.read(stream); !errors.Is(err, io.EOF) {
		t.Errorf("read() after it = %q, %v, want %v", got, err, io.EOF)
	}
}

// An answer that is none ends the connection, as the end of the stream does.
func TestAnswersToBeginThatAreNone(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{
		"the end":              "",
		"half a message":       "1\x00\x00",
		"another message":      "T\x00\x00\x00\x06\x00\x00",
		"an impossible length": "1\x00\x00\x00\x00",
	} {
		var l lateBegin
		if err := l.wait("begin", true); err != nil {
			t.Fatal(err)
		}
		l.state.Store(lateSent)
		if got, err := l.read(bytes.NewReader([]byte(stream))); err == nil {
			t.Errorf("%s: read() = %q, want an error", name, got)
		}
		if !l.is(lateSent) {
			t.Errorf("%s: the state changed", name)
		}
	}
}
