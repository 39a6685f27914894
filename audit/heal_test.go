package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/perdure/perdure/audit"
)

// crashed makes a trail as a killed writer leaves it: records after the last
// checkpoint, and no checkpoint of Close.
func crashed(t *testing.T) (dir string, signed int) {
	t.Helper()
	dir = t.TempDir()
	trail := open(t, audit.Config{Dir: dir, CheckpointAfter: -1})
	signed = len(lines(read(t, files(t, dir)[0])))
	for i := range 3 {
		appendTo(t, trail, outcome(fmt.Sprint("op.", i)))
	}
	return copyOf(t, dir), signed
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, "audit.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestATailThatWasTornAnywhereHeals(t *testing.T) {
	template, signed := crashed(t)
	whole := read(t, files(t, template)[0])
	start := len(strings.Join(lines(whole)[:signed], "")) // what no checkpoint covers begins here
	for cut := start; cut <= len(whole); cut += 13 {
		dir := copyOf(t, template)
		file := files(t, dir)[0]
		write(t, file, whole[:cut])
		torn := whole[strings.LastIndexByte(string(whole[:cut]), '\n')+1 : cut]
		if _, err := audit.Verify(t.Context(), audit.VerifyConfig{Dir: dir}); len(torn) > 0 {
			if e, ok := errors.AsType[*audit.Error](err); !ok || e.Reason != audit.ReasonUnfinished {
				t.Fatalf("cut at %d: Verify = %v, want unfinished", cut, err)
			}
		}
		trail := open(t, audit.Config{Dir: dir})
		closeTrail(t, trail)
		r := verify(t, dir)
		if want := strings.Count(string(whole[:cut]), "\n"); !strings.HasPrefix(string(read(t, file)), strings.Join(lines(whole)[:want], "")) {
			t.Fatalf("cut at %d: a whole line is gone", cut)
		}
		healed := all(t, dir, audit.KindHealed)
		if len(torn) == 0 {
			if len(healed) != 0 || r.Healed != 0 {
				t.Fatalf("cut at %d: nothing was torn, and %d tails were healed", cut, len(healed))
			}
			continue
		}
		sum := sha256.Sum256(torn)
		if len(healed) != 1 || healed[0].Fields["bytes"] != json.Number(strconv.Itoa(len(torn))) || healed[0].Fields["sha256"] != hex.EncodeToString(sum[:]) {
			t.Fatalf("cut at %d: healed = %+v, want %d bytes", cut, healed, len(torn))
		}
	}
}

func TestAFileThatWasBegunAndNeverWrittenToIsUsed(t *testing.T) {
	for _, torn := range []string{"", `{"v":1,"seq":`} {
		dir := t.TempDir()
		fill(t, audit.Config{Dir: dir}, 5)
		next := verify(t, dir).Size + 1
		write(t, filepath.Join(dir, fmt.Sprintf("audit-%016d.jsonl", next)), []byte(torn))
		fill(t, audit.Config{Dir: dir}, 1)
		if r := verify(t, dir); r.Files != 2 || r.Size <= next {
			t.Errorf("Verify = %+v, want two files and more than %d records", r, next)
		}
	}
}

func TestNothingIsAppendedToABrokenTrail(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"a changed record": func(t *testing.T, dir string) {
			t.Helper()
			f := files(t, dir)[0]
			write(t, f, []byte(strings.Replace(string(read(t, f)), "committed", "aborted", 1)))
		},
		"a signed record cut off": func(t *testing.T, dir string) {
			t.Helper()
			f := files(t, dir)[0]
			l := lines(read(t, f))
			write(t, f, []byte(strings.Join(l[:len(l)-1], "")))
		},
		"a signed record torn": func(t *testing.T, dir string) {
			t.Helper()
			f := files(t, dir)[0]
			b := read(t, f)
			write(t, f, b[:len(b)-1])
		},
		"no files": func(t *testing.T, dir string) {
			t.Helper()
			remove(t, files(t, dir)[0])
		},
		"an empty file": func(t *testing.T, dir string) {
			t.Helper()
			write(t, files(t, dir)[0], nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, audit.Config{Dir: dir}, 5)
			damage(t, dir)
			_, err := audit.Open(audit.Config{Dir: dir})
			if _, ok := errors.AsType[*audit.Error](err); !ok {
				t.Errorf("Open = %v, want an *audit.Error", err)
			}
			if _, err := audit.Verify(t.Context(), audit.VerifyConfig{Dir: dir}); err == nil {
				t.Error("Verify = nil after Open")
			}
		})
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "audit.key")
	fill(t, audit.Config{Dir: dir}, 1)
	private := strings.TrimSpace(string(read(t, key)))

	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := audit.Open(audit.Config{Dir: dir})
	if e, ok := errors.AsType[*audit.KeyError](err); !ok || e.Hint != "chmod 600 "+key {
		t.Errorf("Open with a key that others may read = %v, want a KeyError with a hint", err)
	}
	remove(t, key)
	if _, err := audit.Open(audit.Config{Dir: dir}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of an old trail without its key = %v, want not exist", err)
	}
	if _, err := audit.Open(audit.Config{Dir: dir, Key: "PRIVATE+KEY+x"}); err == nil || strings.Contains(err.Error(), "PRIVATE+KEY+x") {
		t.Errorf("Open with a broken key = %v, want an error that does not show it", err)
	}
	fill(t, audit.Config{Dir: dir, Key: private}, 1)
	verify(t, dir)

	other := t.TempDir()
	fill(t, audit.Config{Dir: other, Origin: "another"}, 1)
	foreign := strings.TrimSpace(string(read(t, filepath.Join(other, "audit.pub"))))
	_, err = audit.Verify(t.Context(), audit.VerifyConfig{Dir: dir, Keys: []string{foreign}})
	if e, ok := errors.AsType[*audit.Error](err); !ok || e.Reason != audit.ReasonSignature {
		t.Errorf("Verify with another key = %v, want signature", err)
	}
	fill(t, audit.Config{Dir: dir, KeyFile: filepath.Join(other, "audit.key")}, 1)
	if r := verify(t, dir); r.Origin != "another" {
		t.Errorf("Verify after a change of the key = %+v, want the new key's name", r)
	}
}
