package perduresql

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type seen struct {
	Kind byte
	Body string
}

func frame(kind byte, body string) []byte {
	b := append([]byte{kind}, binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))...)
	return append(b, body...)
}

// However the network cuts what a server sends, the same messages are found.
func TestScannerFindsMessagesInAnyPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want []seen
		s := scanner{}
		switch rapid.SampledFrom([]string{"plain", "refused TLS"}).Draw(t, "start") {
		case "plain":
			s.sent([]byte("\x00\x00\x00\x09\x00\x03\x00\x00x"))
		default:
			s.sent(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequest))
			stream = append(stream, 'N')
		}
		for range rapid.IntRange(0, 12).Draw(t, "messages") {
			kind := rapid.SampledFrom([]byte("KZCENDTR12")).Draw(t, "kind")
			size := rapid.SampledFrom([]int{0, 1, 5, 300, maxKept, maxKept + 1}).Draw(t, "size")
			body := string(slices.Repeat([]byte{'C'}, size))
			stream = append(stream, frame(kind, body)...)
			if slices.Contains([]byte("KZCEN"), kind) && size > 0 && size <= maxKept {
				want = append(want, seen{kind, body})
			}
		}
		var got []seen
		for len(stream) > 0 {
			n := min(rapid.SampledFrom([]int{1, 2, 7, 4096, 1 << 20}).Draw(t, "piece"), len(stream))
			if len(stream) > 10000 {
				n = max(n, len(stream)/8)
			}
			s.received(stream[:n], func(kind byte, body []byte) { got = append(got, seen{kind, string(body)}) })
			stream = stream[n:]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	})
}

func TestScannerSeesNothingBehindTLS(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(s *scanner) []byte{
		"agreed": func(s *scanner) []byte {
			s.sent(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequest))
			return []byte("S")
		},
		"direct": func(s *scanner) []byte {
			s.sent([]byte{tlsHandshake, 3, 1})
			return nil
		},
	} {
		s := &scanner{}
		stream := append(begin(s), frame('C', "COMMIT\x00")...)
		s.received(stream, func(kind byte, body []byte) { t.Errorf("%s: saw %c %q", name, kind, body) })
		if !s.opaque {
			t.Errorf("%s: not known to be encrypted", name)
		}
	}
}

// No server, and nobody in its place, makes the witness fail or grow.
func FuzzWire(f *testing.F) {
	f.Add([]byte("S"), frame('E', "SERROR\x00VERROR\x00C40001\x00Mm\x00RSyncRepWaitForLSN\x00\x00"))
	f.Add(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequest), []byte("N"))
	f.Add([]byte("x"), frame('N', "C57P01\x00"))
	f.Add([]byte("x"), []byte{'E', 0xff, 0xff, 0xff, 0xff, 0})
	f.Fuzz(func(t *testing.T, sent, received []byte) {
		w := &wire{}
		w.scan.rows = true
		w.scan.sent(sent)
		for piece := range slices.Chunk(received, 3) {
			w.scan.received(piece, w.saw)
		}
		if len(w.scan.kept) > headerLen+maxKept {
			t.Errorf("%d bytes are kept", len(w.scan.kept))
		}
		if e := w.lastError(); e != nil && len(e.Message) > maxKept {
			t.Errorf("a message of %d bytes", len(e.Message))
		}
	})
}

func TestLiteralsAreQuotedWhateverTheSettings(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": `E''`, "a": `E'a'`, `it's`: `E'it''s'`, `\'`: `E'\\'''`, `ü\n`: `E'ü\\n'`} {
		if got := literal(s); got != want {
			t.Errorf("literal(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestRowsAreReadAsTheServerWritesThem(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		"\x00\x00": nil,
		"\x00\x03\x00\x00\x00\x01t\xff\xff\xff\xff\x00\x00\x00\x02ab": {"t", "", "ab"},
		"\x00\x02\x00\x00\x00\x01t\x00\x00\x00\x09ab":                 {"t"},
		"": nil,
	} {
		if diff := cmp.Diff(want, parseRow([]byte(body))); diff != "" {
			t.Errorf("parseRow(%q) (-want +got):\n%s", body, diff)
		}
	}
}
