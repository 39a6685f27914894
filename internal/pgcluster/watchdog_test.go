package pgcluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/pgcluster"
)

// ownerEnv makes the test binary an owner of a server, to be killed by a test.
const ownerEnv = "PERDURE_TEST_OWNER"

// owner starts a server, says so, and waits to be killed.
func owner(how string) {
	ctx := context.Background()
	c, err := pgcluster.New(ctx, pgcluster.Config{})
	if err == nil {
		err = c.Start(ctx)
	}
	if err == nil {
		fmt.Printf("%d %s\n", c.PID(), c.Log())
		switch how {
		case "frozen":
			err = c.Freeze()
		case "killed":
			err = c.Kill()
		}
	}
	fmt.Println("ready", err)
	select {}
}

func TestServerDiesWithItsOwner(t *testing.T) {
	for _, how := range []string{"running", "frozen", "killed"} {
		t.Run(how, func(t *testing.T) {
			segments := sharedMemory(t)
			cmd := osexec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), ownerEnv+"="+how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan()
			first, log, found := strings.Cut(lines.Text(), " ")
			if !found {
				t.Fatalf("the owner says %q", lines.Text())
			}
			pid, err := strconv.Atoi(first)
			if err != nil {
				t.Fatal(err)
			}
			if lines.Scan(); lines.Text() != "ready <nil>" {
				t.Fatalf("the owner says %q", lines.Text())
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			eventually(t, "the directory to vanish", func() bool {
				_, err := os.Stat(filepath.Dir(log))
				return errors.Is(err, os.ErrNotExist)
			})
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) && !zombie(pid) {
				t.Errorf("postmaster %d still there: %v", pid, err)
			}
			for id := range sharedMemory(t) {
				if !segments[id] && creator(t, id) == pid {
					t.Errorf("shared memory segment %s of postmaster %d is left", id, pid)
				}
			}
		})
	}
}

// eventually polls until cond holds or the test's time is over.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// zombie reports whether a process is dead and only waits for its parent, which is not us.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// sharedMemory returns the ids of the System V segments on this machine.
func sharedMemory(t *testing.T) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, f := range segmentFields(t) {
		ids[f[1]] = true
	}
	return ids
}

// creator returns the process that created a segment.
func creator(t *testing.T, id string) int {
	t.Helper()
	for _, f := range segmentFields(t) {
		if f[1] == id {
			pid, err := strconv.Atoi(f[4])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

func segmentFields(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	var fields [][]string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 4 && f[0] != "key" {
			fields = append(fields, f)
		}
	}
	return fields
}
