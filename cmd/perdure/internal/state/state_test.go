package state_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/perdure/perdure/cmd/perdure/internal/state"
)

func open(t *testing.T, path string) *state.Dir {
	t.Helper()
	d, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func writes(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func TestOneProcessHasTheDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d := open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode = %v, %v, want 0700", info.Mode(), err)
	}
	_, err = state.Open(path)
	if !errors.Is(err, state.ErrLocked) || !strings.Contains(err.Error(), "process ") {
		t.Errorf("second Open = %v, want ErrLocked with the process", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestADirectoryThatOthersMayReadIsRefused(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o750); err != nil {
		t.Fatal(err)
	}
	_, err := state.Open(path)
	e, ok := errors.AsType[*state.PermissionError](err)
	if !ok || e.Hint() != "chmod 0700 "+path {
		t.Errorf("Open = %v, want a PermissionError with a hint", err)
	}
}

func TestAFileIsReplacedWholeOrNotAtAll(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "s"))
	if err := d.Write("x.json", writes("one")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk full")
	err := d.Write("x.json", func(w io.Writer) error {
		_, _ = io.WriteString(w, "tw")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("Write = %v, want %v", err, broken)
	}
	got, err := os.ReadFile(d.Path("x.json"))
	if err != nil || string(got) != "one" {
		t.Errorf("after a failed Write the file holds %q, %v, want the old one", got, err)
	}
	info, err := os.Stat(d.Path("x.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	left, err := filepath.Glob(d.Path("*.tmp-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatCannotBeReadIsSetAside(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "s"))
	refuse := func(io.Reader) error { return errors.New("unexpected end of JSON input") }
	if found, aside, err := d.Read("x.json", refuse); found || aside != "" || err != nil {
		t.Errorf("Read of nothing = %v, %q, %v", found, aside, err)
	}
	if err := d.Write("x.json", writes("{")); err != nil {
		t.Fatal(err)
	}
	found, aside, err := d.Read("x.json", refuse)
	if !found || aside == "" || err == nil {
		t.Fatalf("Read = %v, %q, %v, want it set aside with the reason", found, aside, err)
	}
	if got, err := os.ReadFile(aside); err != nil || string(got) != "{" {
		t.Errorf("aside holds %q, %v", got, err)
	}
	if _, err := os.Stat(d.Path("x.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the broken file is still there: %v", err)
	}
}

func TestATokenIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "admin.token")
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		wg.Go(func() {
			var err error
			if tokens[i], _, err = state.Token(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, token := range tokens {
		if token != tokens[0] || len(token) != 43 {
			t.Errorf("token = %q, want the same 43 characters for all", token)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if again, made, err := state.Token(path); again != tokens[0] || made || err != nil {
		t.Errorf("Token again = %q, made %v, %v", again, made, err)
	}
}

func TestATokenThatIsNoneIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode fs.FileMode
		want string
	}{
		"empty":            {"", 0o600, "has 0"},
		"short":            {"secret\n", 0o600, "has 6"},
		"long":             {strings.Repeat("x", state.MaxToken+1), 0o600, "1024 bytes"},
		"blank in it":      {"0123456789 0123456789", 0o600, "byte 11 of the token"},
		"others may read":  {"0123456789abcdef", 0o644, "others may read it"},
		"a group may read": {"0123456789abcdef", 0o640, "others may read it"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			_, _, err := state.Token(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "0123456789") {
				t.Errorf("Token = %v, want %q and nothing of the token", err, c.want)
			}
		})
	}
}
