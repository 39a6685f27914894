package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/perdure/perdure/audit"
)

// intact is a closed trail of several files with what stands beside it.
type intact struct {
	names []string   // of the files with records
	files [][]string // their lines, with the newlines
	other map[string]string
	total int
}

func newIntact(t *testing.T) *intact {
	t.Helper()
	dir := t.TempDir()
	fill(t, audit.Config{Dir: dir, MaxFileBytes: 4096, CheckpointEvery: 4}, 25)
	fill(t, audit.Config{Dir: dir, MaxFileBytes: 4096, CheckpointEvery: 9}, 25)
	return intactIn(t, dir)
}

func intactIn(t *testing.T, dir string) *intact {
	t.Helper()
	in := &intact{other: map[string]string{}}
	for _, name := range []string{"audit.pub", "audit.checkpoint"} {
		in.other[name] = string(read(t, filepath.Join(dir, name)))
	}
	for _, f := range files(t, dir) {
		in.names = append(in.names, filepath.Base(f))
		in.files = append(in.files, lines(read(t, f)))
		in.total += len(in.files[len(in.files)-1])
	}
	return in
}

// clone returns a copy whose lines can be changed.
func (in *intact) clone() *intact {
	c := *in
	c.files = nil
	for _, f := range in.files {
		c.files = append(c.files, slices.Clone(f))
	}
	return &c
}

// at returns where a record stands.
func (in *intact) at(seq int) (file, line int) {
	for seq > len(in.files[file]) {
		seq -= len(in.files[file])
		file++
	}
	return file, seq - 1
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// store writes the trail into a new directory.
func (in *intact) store(t failer) (dir string, remove func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "audit")
	for name, text := range in.other {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for i, name := range in.names {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(in.files[i], "")), 0o600))
	}
	if err != nil {
		t.Fatalf("store: %v", err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

// found verifies the trail and returns the fault, which there must be.
func (in *intact) found(t failer, cfg audit.VerifyConfig) *audit.Error {
	t.Helper()
	dir, remove := in.store(t)
	defer remove()
	cfg.Dir = dir
	r, err := audit.Verify(context.Background(), cfg)
	e, ok := errors.AsType[*audit.Error](err)
	if !ok {
		t.Fatalf("Verify = %+v, %v, want an *audit.Error", r, err)
	}
	return e
}

// TestAnyTamperingIsFoundAndNamed does one thing to a trail, at any place.
func TestAnyTamperingIsFoundAndNamed(t *testing.T) {
	whole := newIntact(t)
	t.Logf("%d records in %d files", whole.total, len(whole.names))
	rapid.Check(t, func(t *rapid.T) {
		in := whole.clone()
		seq := func(label string, most int) int { return rapid.IntRange(1, most).Draw(t, label) }
		n := in.total
		var want []audit.Reason
		first := 0 // the record that must be named
		switch op := rapid.SampledFrom([]string{"flip", "remove", "swap", "copy", "garbage", "cut", "drop", "exchange"}).Draw(t, "op"); op {
		case "flip":
			first = seq("record", n)
			f, l := in.at(first)
			b := []byte(in.files[f][l])
			b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			in.files[f][l] = string(b)
			want = []audit.Reason{audit.ReasonChanged, audit.ReasonUnfinished, audit.ReasonVersion}
		case "remove":
			first = seq("record", n)
			f, l := in.at(first)
			in.files[f] = slices.Delete(in.files[f], l, l+1)
			want = []audit.Reason{audit.ReasonRemoved}
			if first == n {
				want = []audit.Reason{audit.ReasonTruncated}
			}
		case "swap":
			first = seq("first", n-1)
			second := rapid.IntRange(first+1, n).Draw(t, "second")
			f1, l1 := in.at(first)
			f2, l2 := in.at(second)
			in.files[f1][l1], in.files[f2][l2] = in.files[f2][l2], in.files[f1][l1]
			want = []audit.Reason{audit.ReasonReordered}
		case "copy":
			source, after := seq("record", n), seq("after", n)
			f, l := in.at(source)
			text := in.files[f][l]
			f, l = in.at(after)
			in.files[f] = slices.Insert(in.files[f], l+1, text)
			first = after + 1
			if source == after+1 { // the copy is as good as the original, which then is one too many
				first++
			}
			want = []audit.Reason{audit.ReasonInserted}
		case "garbage":
			first = seq("before", n)
			f, l := in.at(first)
			in.files[f] = slices.Insert(in.files[f], l, rapid.StringMatching(`[ -~]{0,200}\n`).Draw(t, "text"))
			want = []audit.Reason{audit.ReasonInserted}
		case "cut":
			first = seq("record", n)
			f, l := in.at(first)
			keep := rapid.IntRange(0, len(in.files[f][l])-1).Draw(t, "bytes")
			in.files[f] = append(in.files[f][:l:l], in.files[f][l][:keep])
			in.files, in.names = in.files[:f+1], in.names[:f+1]
			want = []audit.Reason{audit.ReasonTruncated, audit.ReasonUnfinished}
		case "drop":
			f := rapid.IntRange(0, len(in.files)-1).Draw(t, "file")
			first = firstOf(in, f)
			want = []audit.Reason{audit.ReasonRemoved}
			if f == len(in.files)-1 {
				want = []audit.Reason{audit.ReasonTruncated}
			}
			in.files, in.names = slices.Delete(in.files, f, f+1), slices.Delete(slices.Clone(in.names), f, f+1)
		case "exchange":
			f := rapid.IntRange(0, len(in.files)-2).Draw(t, "file")
			g := rapid.IntRange(f+1, len(in.files)-1).Draw(t, "other")
			first = firstOf(in, f)
			in.files[f], in.files[g] = in.files[g], in.files[f]
			want = []audit.Reason{audit.ReasonReordered}
		}
		e := in.found(t, audit.VerifyConfig{})
		if e.Seq != uint64(first) || !slices.Contains(want, e.Reason) {
			t.Fatalf("Verify = %s (%q), want record %d and one of %q", e, e.Reason, first, want)
		}
		if e.Signed >= e.Seq {
			t.Fatalf("Verify = %s, and says that records up to %d are good", e, e.Signed)
		}
		checkPlace(t, in, e)
	})
}

func firstOf(in *intact, file int) int {
	first := 1
	for _, f := range in.files[:file] {
		first += len(f)
	}
	return first
}

// checkPlace checks that the lines before the place that e names are all good.
func checkPlace(t failer, in *intact, e *audit.Error) {
	t.Helper()
	before := 0
	for i, name := range in.names {
		if name == e.File {
			before += e.Line - 1
			break
		}
		before += len(in.files[i])
	}
	if uint64(before) != e.Seq-1 {
		t.Fatalf("Verify = %s: %d lines stand before that place, want %d", e, before, e.Seq-1)
	}
}

// rechain does what a forger without the key can do: it gives the record a new
// subject, and all records up to the last the numbers and hashes that then fit.
func (in *intact) rechain(from, to int, edit func(string) string) {
	const tail = len(`,"hash":"`) + 64 + len(`"}`)
	prev := strings.Repeat("0", 64)
	for seq := 1; seq <= in.total; seq++ {
		f, l := in.at(seq)
		text := strings.TrimSuffix(in.files[f][l], "\n")
		if seq >= from && seq <= to {
			body := text[:len(text)-tail]
			if seq == from {
				body = edit(body)
			} else {
				body = body[:strings.LastIndex(body, `,"prev":"`)] + `,"prev":"` + prev + `"`
			}
			sum := sha256.Sum256([]byte(body))
			text = body + `,"hash":"` + hex.EncodeToString(sum[:]) + `"}`
			in.files[f][l] = text + "\n"
		}
		prev = text[len(text)-66 : len(text)-2]
	}
}

func editTime(body string) string {
	i := strings.Index(body, `"time":"`) + len(`"time":"`)
	return body[:i] + "1999" + body[i+4:]
}

func TestAForgerWithoutTheKeyIsFound(t *testing.T) {
	whole := newIntact(t)
	for seq := 1; seq <= whole.total; seq++ {
		// One record with a hash that fits.
		in := whole.clone()
		in.rechain(seq, seq, editTime)
		e := in.found(t, audit.VerifyConfig{})
		if e.Seq != uint64(seq) || e.Last != e.Seq || e.Signed >= e.Seq {
			t.Errorf("record %d rewritten: Verify = %s (signed %d)", seq, e, e.Signed)
		}
		// It and all that follow.
		in = whole.clone()
		in.rechain(seq, in.total, editTime)
		e = in.found(t, audit.VerifyConfig{})
		if e.Reason != audit.ReasonRewritten || e.Seq > uint64(seq) || e.Last < uint64(seq) || e.Signed >= uint64(seq) {
			t.Errorf("records from %d on rewritten: Verify = %s (%s, signed %d)", seq, e, e.Reason, e.Signed)
		}
	}
}

// TestWhatWasCutOffWithItsCheckpointIsFoundFromOutside removes the end of a
// trail and puts an older checkpoint beside it, as somebody may who can write
// to the directory.
func TestWhatWasCutOffWithItsCheckpointIsFoundFromOutside(t *testing.T) {
	dir := t.TempDir()
	var notes []string
	trail := open(t, audit.Config{Dir: dir, CheckpointEvery: 3, Checkpointed: func(n string) { notes = append(notes, n) }})
	for range 10 {
		appendTo(t, trail, outcome("x"))
	}
	closeTrail(t, trail)
	in := intactIn(t, dir)
	older, err := audit.ParseCheckpoint(notes[1], in.other["audit.pub"])
	if err != nil {
		t.Fatal(err)
	}
	total := in.total
	in.files[0] = in.files[0][:older.Size]
	in.other["audit.checkpoint"] = notes[1]

	cut, remove := in.store(t)
	defer remove()
	if r := verify(t, cut); r.Size != older.Size { // from inside it cannot be seen
		t.Fatalf("Verify = %+v", r)
	}
	for name, cfg := range map[string]audit.VerifyConfig{
		"a checkpoint kept elsewhere": {Checkpoints: notes[len(notes)-1:]},
		"a size kept elsewhere":       {Size: uint64(total)},
	} {
		e := in.found(t, cfg)
		if e.Reason != audit.ReasonTruncated || e.Seq != older.Size+1 || e.Last != uint64(total) {
			t.Errorf("%s: Verify = %s, want records %d to %d missing", name, e, older.Size+1, total)
		}
	}
	delete(in.other, "audit.checkpoint")
	if e := in.found(t, audit.VerifyConfig{}); e.File != "audit.checkpoint" || e.Reason != audit.ReasonRemoved {
		t.Errorf("without the file: Verify = %s, want it named", e)
	}
	in.other["audit.checkpoint"] = strings.Replace(notes[1], "\n"+strconv.FormatUint(older.Size, 10)+"\n", "\n1\n", 1)
	if e := in.found(t, audit.VerifyConfig{}); e.File != "audit.checkpoint" || e.Reason != audit.ReasonSignature {
		t.Errorf("with a forged file: Verify = %s, want its signature named", e)
	}
}

func TestATrailThatIsNoLongerSignedIsFound(t *testing.T) {
	dir := t.TempDir()
	fill(t, audit.Config{Dir: dir, CheckpointEvery: 5}, 3)
	in := intactIn(t, dir)
	// The forger goes on without the key.
	f := &in.files[0]
	template := strings.TrimSuffix((*f)[2], "\n")
	for len(*f) < 30 {
		last := (*f)[len(*f)-1]
		in.total++
		body := template[:strings.LastIndex(template, `,"prev":"`)] + `,"prev":"` + last[len(last)-67:len(last)-3] + `"`
		body = `{"v":1,"seq":` + strconv.Itoa(in.total) + body[strings.Index(body, `,"time"`):]
		sum := sha256.Sum256([]byte(body))
		*f = append(*f, body+`,"hash":"`+hex.EncodeToString(sum[:])+`"}`+"\n")
	}
	e := in.found(t, audit.VerifyConfig{})
	if e.Reason != audit.ReasonSignature || e.Signed >= e.Seq {
		t.Errorf("Verify = %s, want that no checkpoint follows", e)
	}
}

func TestAPrunedTrailIsAcceptedOnlyIfAsked(t *testing.T) {
	in := newIntact(t).clone()
	gone := len(in.files[0]) + len(in.files[1])
	in.files, in.names = in.files[2:], in.names[2:]
	if e := in.found(t, audit.VerifyConfig{}); e.Reason != audit.ReasonRemoved || e.Seq != 1 || e.Last != uint64(gone) {
		t.Errorf("Verify = %s, want records 1 to %d removed", e, gone)
	}
	dir, remove := in.store(t)
	defer remove()
	r, err := audit.Verify(t.Context(), audit.VerifyConfig{Dir: dir, Pruned: true})
	if err != nil || r.Size != uint64(in.total) || r.Records != uint64(in.total-gone) {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	in.names[0] = "audit-0000000000000002.jsonl"
	if e := in.found(t, audit.VerifyConfig{Pruned: true}); e.Seq != 2 {
		t.Errorf("with a file renamed: Verify = %s, want record 2", e)
	}
}
