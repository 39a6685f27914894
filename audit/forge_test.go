package audit_test

import (
	"strings"
	"testing"

	"github.com/perdure/perdure/audit"
)

// TestACheckpointCannotBeForged edits the notes in the chain and makes all
// hashes fit.
func TestACheckpointCannotBeForged(t *testing.T) {
	whole := newIntact(t)
	var notes []int // sequence numbers of checkpoints
	for seq := 1; seq <= whole.total; seq++ {
		f, l := whole.at(seq)
		if strings.Contains(whole.files[f][l], `"kind":"trail.checkpoint"`) {
			notes = append(notes, seq)
		}
	}
	third := notes[2]
	cut := func(body string) (before, note, after string) {
		i := strings.Index(body, `"note":"`) + len(`"note":"`)
		j := strings.Index(body, `","prev":"`)
		return body[:i], body[i:j], body[j:]
	}
	f, l := whole.at(notes[1])
	_, older, _ := cut(whole.files[f][l])
	for name, c := range map[string]struct {
		edit   func(note string) string
		reason audit.Reason
	}{
		"another signature": {func(note string) string {
			i := len(note) - 12
			return note[:i] + string(note[i]^1) + note[i+1:]
		}, audit.ReasonSignature},
		"another size":      {func(note string) string { return strings.Replace(note, `\n`, `\n1`, 1) }, audit.ReasonSignature},
		"no note":           {func(string) string { return "none" }, audit.ReasonSignature},
		"an older note":     {func(string) string { return older }, audit.ReasonSignature},
		"an unknown key":    {func(note string) string { return strings.ReplaceAll(note, "perdure.audit", "nobody") }, audit.ReasonSignature},
		"the note as it is": {func(note string) string { return note }, ""},
	} {
		in := whole.clone()
		in.rechain(third, in.total, func(body string) string {
			before, note, after := cut(body)
			return before + c.edit(note) + after
		})
		if c.reason == "" { // the forger himself is sound
			dir, remove := in.store(t)
			verify(t, dir)
			remove()
			continue
		}
		if e := in.found(t, audit.VerifyConfig{}); e.Reason != c.reason || e.Seq != uint64(third) || e.Signed != uint64(notes[1]-1) {
			t.Errorf("%s: Verify = %s (%s, signed %d), want record %d by its signature", name, e, e.Reason, e.Signed, third)
		}
	}
}

func TestARecordOfAnotherVersionIsNamed(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"in this form":    func(line string) string { return strings.Replace(line, `{"v":1,`, `{"v":2,`, 1) },
		"in another form": func(string) string { return `{"seq":5,"v":3,"payload":"AAAA"}` + "\n" },
	} {
		in := newIntact(t).clone()
		f, l := in.at(5)
		in.files[f][l] = edit(in.files[f][l])
		e := in.found(t, audit.VerifyConfig{})
		if e.Reason != audit.ReasonVersion || e.Seq != 5 {
			t.Errorf("%s: Verify = %s, want the version of record 5", name, e)
		}
	}
}

func TestErrorSaysWhereAndWhat(t *testing.T) {
	for want, e := range map[string]audit.Error{
		"f:4: record 4 was changed: why":                           {Reason: audit.ReasonChanged, Detail: "why"},
		"f:4: records 4 to 6 were removed":                         {Reason: audit.ReasonRemoved, Last: 6},
		"f:4: record 4 stands elsewhere: the order was changed":    {Reason: audit.ReasonReordered},
		"f:4: a line was inserted before record 4":                 {Reason: audit.ReasonInserted},
		"f:4: the trail was truncated: records 4 to 6 are missing": {Reason: audit.ReasonTruncated, Last: 6},
		"f:4: the trail was truncated: record 4 is missing":        {Reason: audit.ReasonTruncated},
		"f:4: record 4 is unfinished: the line has no end":         {Reason: audit.ReasonUnfinished},
		"f:4: records 4 to 6 were rewritten":                       {Reason: audit.ReasonRewritten, Last: 6},
		"f:4: record 4: the checkpoint's signature does not hold":  {Reason: audit.ReasonSignature},
		"f:4: record 4 cannot be read":                             {Reason: audit.ReasonVersion},
		"f:4: the file was renamed: it begins with record 4":       {Reason: audit.ReasonRenamed},
	} {
		e.File, e.Line, e.Seq = "f", 4, 4
		e.Last = max(e.Last, e.Seq)
		if got := e.Error(); got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
	}
}
