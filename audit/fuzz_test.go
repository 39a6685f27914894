package audit

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// FuzzParse holds the parser to what the format promises: what it accepts is
// exactly what the writer writes, and no bit of it can be another.
func FuzzParse(f *testing.F) {
	for _, r := range []Record{
		{Kind: KindRun},
		{Kind: KindOutcome, Manager: "m", Subject: "s", Action: "a", Actor: "x", CorrelationID: "c", Text: "<é\u2028>\n", Fields: map[string]any{"n": 1.5, "b": true, "s": `"`, "": -1}},
	} {
		r.Time = time.Unix(1e9, 0)
		members, err := encode(&r, "")
		if err != nil {
			f.Fatal(err)
		}
		line, _ := appendLine(nil, 7, digest{1, 2, 3}, members)
		f.Add(line[:len(line)-1], uint(9))
	}
	f.Add([]byte(`{"v":2}`), uint(0))
	f.Add([]byte(strings.Repeat("[", 10000)), uint(0))
	f.Fuzz(func(t *testing.T, line []byte, bit uint) {
		e, sum, err := parse(line)
		if err != nil {
			return
		}
		var prev digest
		copy(prev[:], unhex(e.Prev))
		members, err := encode(&e.Record, e.Note)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, sumAgain := appendLine(nil, e.Seq, prev, members)
		if !bytes.Equal(again, append(bytes.Clone(line), '\n')) || sum != sumAgain {
			t.Fatalf("read %q, written %q", line, again)
		}
		if err := checkKind(e.Kind); err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(line)
		bit %= uint(8 * len(line))
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, _, err := parse(flipped); err == nil {
			t.Fatalf("bit %d of %q can be another", bit, line)
		}
	})
}

// FuzzReadNote reads notes that nobody has signed.
func FuzzReadNote(f *testing.F) {
	f.Add("perdure.audit\n12\n" + strings.Repeat("A", 43) + "=\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readNote(text)
		if err == nil && (len(c.Hash) != hashLen || strings.Contains(c.Origin, "\n")) {
			t.Fatalf("readNote(%q) = %+v", text, c)
		}
	})
}
