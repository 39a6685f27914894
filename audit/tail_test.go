package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/perdure/perdure/audit"
)

func TestTailYieldsTheLastOfAKindOverFiles(t *testing.T) {
	dir := t.TempDir()
	fill(t, audit.Config{Dir: dir, MaxFileBytes: 4096, CheckpointEvery: 3}, 60)
	everything := all(t, dir)
	for i, e := range everything {
		if e.Seq != uint64(i+1) {
			t.Fatalf("record %d has sequence number %d", i+1, e.Seq)
		}
	}
	outcomes := all(t, dir, audit.KindOutcome)
	for _, last := range []int{1, 7, 59, 60, 1000} {
		var got []audit.Entry
		for e, err := range audit.Tail(t.Context(), audit.TailConfig{Dir: dir, Last: last, Kinds: []audit.Kind{audit.KindOutcome}}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		want := outcomes[len(outcomes)-min(last, len(outcomes)):]
		if len(got) != len(want) || got[0].Seq != want[0].Seq || got[len(got)-1].Seq != want[len(want)-1].Seq {
			t.Errorf("the last %d are %d from %d, want %d from %d", last, len(got), got[0].Seq, len(want), want[0].Seq)
		}
	}
}

// TestTailFollowsOverFilesAndWriters follows a trail whose writers come and go,
// one of them leaving an unfinished line behind.
func TestTailFollowsOverFilesAndWriters(t *testing.T) {
	dir := t.TempDir()
	fill(t, audit.Config{Dir: dir}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	entries, done := make(chan audit.Entry, 1000), make(chan error, 1)
	go func() {
		for e, err := range audit.Tail(ctx, audit.TailConfig{Dir: dir, Follow: true, Every: time.Millisecond}) {
			if err != nil {
				done <- err
				return
			}
			entries <- e
		}
		done <- nil
	}()
	next := uint64(1)
	read := func(until uint64) {
		t.Helper()
		for ; next <= until; next++ {
			select {
			case e := <-entries:
				if e.Seq != next {
					t.Fatalf("record %d follows, want %d", e.Seq, next)
				}
			case err := <-done:
				t.Fatalf("Tail ended at %d: %v", next, err)
			}
		}
	}
	for i := range 4 {
		read(verify(t, dir).Size)
		f := files(t, dir)
		torn, err := os.OpenFile(f[len(f)-1], os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(torn, `{"v":1,"seq":%d,"ti`, next); err != nil {
			t.Fatal(err)
		}
		torn.Close()
		fill(t, audit.Config{Dir: dir, MaxFileBytes: 4096}, 10+i)
	}
	read(verify(t, dir).Size)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Tail = %v after its context ended, want nil", err)
	}
}

func TestTailNamesALineThatIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	fill(t, audit.Config{Dir: dir}, 5)
	f := files(t, dir)[0]
	l := lines(read(t, f))
	write(t, f, []byte(l[0]+l[1]+"nonsense\n"+l[3]))
	var got []uint64
	var fault error
	for e, err := range audit.Tail(t.Context(), audit.TailConfig{Dir: dir}) {
		if err != nil {
			fault = err
			break
		}
		got = append(got, e.Seq)
	}
	if e, ok := errors.AsType[*audit.Error](fault); !ok || e.Line != 3 || e.Seq != 3 || len(got) != 2 {
		t.Errorf("Tail yields %v and %v, want two records and line 3", got, fault)
	}
	for _, err := range audit.Tail(t.Context(), audit.TailConfig{Dir: t.TempDir()}) {
		if !errors.Is(err, audit.ErrNoTrail) {
			t.Errorf("Tail of an empty directory = %v, want ErrNoTrail", err)
		}
	}
}
