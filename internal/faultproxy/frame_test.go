package faultproxy

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

type encoder interface{ Encode([]byte) ([]byte, error) }

func encode(tb testing.TB, messages ...encoder) []byte {
	tb.Helper()
	var b []byte
	for _, m := range messages {
		var err error
		if b, err = m.Encode(b); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

// follow reads all messages of one direction and returns those that rules can name, with their text.
func follow(t *testing.T, d direction, stream []byte) []string {
	t.Helper()
	proxy := &Proxy{}
	rules := []*RuleHandle{{}}
	proxy.rules.Store(&rules)
	p := newPump(&link{proxy: proxy}, d, true)
	var got []string
	for len(stream) > 0 {
		f, ok, err := parseFrame(stream, p.inspected)
		if err != nil || !ok {
			t.Fatalf("parseFrame = %v, %v", ok, err)
		}
		if msg, text := p.read(f); msg != 0 {
			got = append(got, string(f.kind)+" "+text)
		}
		stream = stream[f.size:]
	}
	return got
}

func TestStatementsAreFollowedByName(t *testing.T) {
	got := follow(t, toServer, encode(t,
		&pgproto3.Parse{Name: "c", Query: "commit"},
		&pgproto3.Parse{Query: "insert"},
		&pgproto3.Bind{PreparedStatement: "c", DestinationPortal: "p"},
		&pgproto3.Bind{},
		&pgproto3.Execute{Portal: "p"},
		&pgproto3.Execute{},
		&pgproto3.Close{ObjectType: 'P', Name: "p"},
		&pgproto3.Execute{Portal: "p"},
		&pgproto3.Close{ObjectType: 'S', Name: "c"},
		&pgproto3.Bind{PreparedStatement: "c"},
		&pgproto3.Sync{},
		&pgproto3.Query{String: "select 1"},
	))
	want := []string{"P commit", "P insert", "B commit", "B insert", "E commit", "E insert", "E ", "B ", "S ", "Q select 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestRepliesHaveTheirText(t *testing.T) {
	got := follow(t, toClient, encode(t,
		&pgproto3.AuthenticationCleartextPassword{}, &pgproto3.AuthenticationOk{},
		&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte{1, 2, 3, 4}},
		&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")},
		&pgproto3.ErrorResponse{Severity: "ERROR", Code: "23505", Message: "C99999"},
		&pgproto3.ReadyForQuery{TxStatus: 'T'},
		&pgproto3.DataRow{Values: [][]byte{[]byte("x")}},
	))
	want := []string{"R ", "C INSERT 0 1", "E 23505", "Z T", "D "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestStartupText(t *testing.T) {
	packet := encode(t, &pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "alice"},
	})
	read, err := readStartup(bytes.NewReader(packet))
	if err != nil || !bytes.Equal(read, packet) {
		t.Fatalf("readStartup = %q, %v, want %q", read, err, packet)
	}
	if got := startupText(read[8:]); got != "user=alice" {
		t.Errorf("startupText = %q, want user=alice", got)
	}
}

func TestALongMessageIsSeenInPart(t *testing.T) {
	sql := string(bytes.Repeat([]byte("x"), 3*bufferLen))
	stream := encode(t, &pgproto3.Query{String: sql})
	f, ok, err := parseFrame(stream[:inspectMax], statements{}.inspected)
	if err != nil || !ok || f.size != len(stream) {
		t.Fatalf("parseFrame = %d, %v, %v, want %d", f.size, ok, err, len(stream))
	}
	if got := newStatements().read(f); len(got) != inspectMax-headerLen {
		t.Errorf("text of %d bytes, want %d", len(got), inspectMax-headerLen)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x0bcommit\x00"), 3)
	f.Add([]byte("P\x00\x00\x00\x0fname\x00begin\x00B\x00\x00\x00\x0aname\x00\x00"), 1)
	f.Add([]byte("E\x00\x00\x00\x10C23505\x00Mtext\x00\x00"), 7)
	f.Add([]byte("C\x00\x00\x00\x04S\x00\x00\x00\x03"), 6)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		for _, d := range []direction{toServer, toClient} {
			proxy := &Proxy{}
			rules := []*RuleHandle{{}}
			proxy.rules.Store(&rules)
			p := newPump(&link{proxy: proxy}, d, true)
			for rest := stream; len(rest) > 0; {
				whole, ok, err := parseFrame(rest, p.inspected)
				if err != nil || !ok {
					break
				}
				// A part of the stream never says anything else than the whole.
				part := slices.Clone(rest[:min(len(rest), max(0, cut))])
				early, sure, err := parseFrame(part, p.inspected)
				if err != nil || (sure && (early.size != whole.size || early.kind != whole.kind || !bytes.Equal(early.body, whole.body))) {
					t.Fatalf("parseFrame of a part = %+v, %v, of the whole %+v", early, err, whole)
				}
				if whole.size < headerLen {
					t.Fatalf("size = %d", whole.size)
				}
				p.read(whole)
				rest = rest[min(len(rest), whole.size):]
			}
		}
		packet, err := readStartup(bytes.NewReader(stream))
		if err == nil {
			if !bytes.HasPrefix(stream, packet) || len(packet) < 8 {
				t.Fatalf("readStartup = %q of %q", packet, stream)
			}
			startupText(packet[8:])
		}
	})
}
