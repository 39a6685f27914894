package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/audit"
)

func TestARecordComesBackAsItWasAppended(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "audit")
	trail := open(t, audit.Config{Dir: dir, Sanitize: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }})
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	want := audit.Record{
		Time: at, Kind: "component.invoked", Manager: "warehouse", Subject: "features.build", Action: "ended", Actor: "ops@10.0.0.1",
		CorrelationID: "c-1", Text: "password=*** <rejected> \u2028 & é",
		Fields: map[string]any{"attempts": json.Number("3"), "elapsed_ms": json.Number("1.5e+300"), "ok": true, "key": "run-7/load"},
	}
	given := want
	given.Text = "password=hunter2 <rejected> \u2028 & é"
	given.Fields = map[string]any{"attempts": 3, "elapsed_ms": 1.5e300, "ok": true, "key": "run-7/load"}
	seq := appendTo(t, trail, given)
	closeTrail(t, trail)

	got := all(t, dir, "component.invoked")
	if len(got) != 1 || got[0].Seq != seq {
		t.Fatalf("Tail = %+v, want one record with sequence number %d", got, seq)
	}
	if diff := cmp.Diff(want, got[0].Record); diff != "" {
		t.Errorf("record differs (-want +got):\n%s", diff)
	}
	if r := verify(t, dir); r.Size != r.Records || r.Signed != r.Size || r.Healed != 0 || r.Live {
		t.Errorf("Verify = %+v", r)
	}
}

func TestTextIsRedactedWithoutASanitizer(t *testing.T) {
	dir := t.TempDir()
	trail := open(t, audit.Config{Dir: dir})
	appendTo(t, trail, audit.Record{Kind: audit.KindGiveUp, Text: "cannot connect to postgres://ada:hunter2@db/shop"})
	if got := all(t, dir, audit.KindGiveUp)[0].Text; strings.Contains(got, "hunter2") || !strings.Contains(got, "cannot connect") {
		t.Errorf("Text = %q, want it without the password", got)
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	fill(t, audit.Config{Dir: dir}, 1)
	for name, want := range map[string]os.FileMode{
		".": 0o700, "audit.key": 0o600, "audit-0000000000000001.jsonl": 0o600, "audit.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %04o, want %04o", name, got, want)
		}
	}
}

func TestRecordsThatCannotBeStoredAreRefused(t *testing.T) {
	trail := open(t, audit.Config{Dir: t.TempDir()})
	before := trail.Stats().Size
	for name, r := range map[string]audit.Record{
		"no kind":           {},
		"kind with a space": {Kind: "give up"},
		"kind of the trail": {Kind: audit.KindCheckpoint},
		"field of a struct": {Kind: audit.KindRun, Fields: map[string]any{"x": struct{}{}}},
		"not a number":      {Kind: audit.KindRun, Fields: map[string]any{"x": 0.0 / zero()}},
		"year 10000":        {Kind: audit.KindRun, Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"too long":          {Kind: audit.KindRun, Subject: strings.Repeat("x", 64<<10)},
	} {
		if _, err := trail.Append(t.Context(), audit.Record{Kind: audit.KindRun}, r); !errors.Is(err, audit.ErrRecord) {
			t.Errorf("%s: Append = %v, want ErrRecord", name, err)
		}
	}
	if after := trail.Stats(); after.Size != before || after.Err != nil {
		t.Errorf("Stats after refusals = %+v, want size %d", after, before)
	}
}

func zero() float64 { return 0 }

func TestConfigurationFaultsAreAllReported(t *testing.T) {
	_, err := audit.Open(audit.Config{Origin: "a b", Key: "x", KeyFile: "y", MaxFileBytes: 1, CheckpointEvery: -1})
	if err == nil {
		t.Fatal("Open = nil")
	}
	for _, want := range []string{"dir: ", "origin: ", "key: ", "max_file_bytes: ", "checkpoint_every: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, want %q in it", err, want)
		}
	}
}

func TestASecondWriterIsRefused(t *testing.T) {
	dir := t.TempDir()
	trail := open(t, audit.Config{Dir: dir})
	_, err := audit.Open(audit.Config{Dir: dir})
	if !errors.Is(err, audit.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("second Open = %v, want ErrLocked with the process", err)
	}
	closeTrail(t, trail)
	open(t, audit.Config{Dir: dir})
}

func TestTheChainRunsOnOverFilesAndWriters(t *testing.T) {
	dir := t.TempDir()
	cfg := audit.Config{Dir: dir, MaxFileBytes: 4096, CheckpointEvery: 5}
	for range 4 {
		fill(t, cfg, 40)
	}
	r := verify(t, dir)
	if r.Files < 10 || r.Records < 160 || r.Signed != r.Size {
		t.Errorf("Verify = %+v, want at least 10 files and 160 records, all signed", r)
	}
	for _, f := range files(t, dir) {
		b := read(t, f)
		if len(b) > 4096+2048 {
			t.Errorf("%s has %d bytes, want about 4096", f, len(b))
		}
		if last := lines(b)[len(lines(b))-1]; !strings.Contains(last, `"kind":"trail.checkpoint"`) {
			t.Errorf("%s ends with %s, want a checkpoint", f, last)
		}
	}
}

func TestConcurrentAppendersFindTheirRecords(t *testing.T) {
	dir := t.TempDir()
	trail := open(t, audit.Config{Dir: dir, MaxFileBytes: 64 << 10, CheckpointEvery: 100})
	const appenders, each = 32, 50
	seen := make([][]uint64, appenders)
	var wg sync.WaitGroup
	for i := range appenders {
		wg.Go(func() {
			for j := range each {
				seq, err := trail.Append(t.Context(), outcome(fmt.Sprintf("op.%d.%d", i, j)))
				if err != nil {
					t.Error(err)
					return
				}
				seen[i] = append(seen[i], seq)
			}
		})
	}
	wg.Wait()
	closeTrail(t, trail)
	at := map[uint64]string{}
	for _, e := range all(t, dir, audit.KindOutcome) {
		at[e.Seq] = e.Subject
	}
	for i, list := range seen {
		for j, seq := range list {
			if want := fmt.Sprintf("op.%d.%d", i, j); at[seq] != want {
				t.Fatalf("record %d = %q, want %q", seq, at[seq], want)
			}
		}
	}
	verify(t, dir)
}

func TestAnAppenderThatGivesUpWaitingHasStoredNothing(t *testing.T) {
	dir := t.TempDir()
	trail := open(t, audit.Config{Dir: dir})
	gone := errors.New("gone")
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := map[string]bool{}
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			wg.Go(func() { cancel(gone) })
			name := fmt.Sprint("op.", i)
			_, err := trail.Append(ctx, outcome(name))
			if err != nil && !errors.Is(err, gone) {
				t.Errorf("Append = %v, want the cause of the context", err)
			}
			mu.Lock()
			defer mu.Unlock()
			stored[name] = err == nil
		})
	}
	wg.Wait()
	closeTrail(t, trail)
	found := map[string]bool{}
	for _, e := range all(t, dir, audit.KindOutcome) {
		found[e.Subject] = true
	}
	for name, want := range stored {
		if found[name] != want {
			t.Errorf("%s: in the trail = %v, want %v as Append said", name, found[name], want)
		}
	}
}

func TestAfterCloseNothingIsTaken(t *testing.T) {
	trail := open(t, audit.Config{Dir: t.TempDir()})
	closeTrail(t, trail)
	closeTrail(t, trail)
	if _, err := trail.Append(t.Context(), outcome("x")); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Append = %v, want ErrClosed", err)
	}
}

func TestCheckpointsAreTold(t *testing.T) {
	dir := t.TempDir()
	var notes []string
	trail := open(t, audit.Config{Dir: dir, Origin: "db7.example.com/warehouse", CheckpointEvery: 3, Checkpointed: func(n string) { notes = append(notes, n) }})
	for range 7 {
		appendTo(t, trail, outcome("x"))
	}
	closeTrail(t, trail)
	public := strings.TrimSpace(string(read(t, filepath.Join(dir, "audit.pub"))))
	entries := all(t, dir)
	if len(notes) != 4 { // open, two by number, close
		t.Errorf("%d checkpoints, want 4", len(notes))
	}
	for _, n := range notes {
		c, err := audit.ParseCheckpoint(n, public)
		if err != nil {
			t.Fatal(err)
		}
		if e := entries[c.Size-1]; c.Hash != e.Hash || c.Origin != "db7.example.com/warehouse" {
			t.Errorf("checkpoint %+v, want the hash %s of record %d", c, e.Hash, e.Seq)
		}
	}
	if got := string(read(t, filepath.Join(dir, "audit.checkpoint"))); got != notes[len(notes)-1] {
		t.Errorf("audit.checkpoint = %q, want the last note", got)
	}
}

func TestATrailIsVerifiedWhileItIsWritten(t *testing.T) {
	dir := t.TempDir()
	trail := open(t, audit.Config{Dir: dir, MaxFileBytes: 16 << 10, CheckpointEvery: 20})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := trail.Append(t.Context(), outcome("x"), outcome("y"), outcome("z")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var last uint64
	for last < 1000 {
		r := verify(t, dir)
		if r.Size < last || r.Size-r.Signed > 20+3*4+3 {
			t.Errorf("Verify = %+v after %d records", r, last)
		}
		last = r.Size
	}
	close(stop)
	wg.Wait()
}
