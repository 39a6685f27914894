package pgcluster

import (
	"errors"
	"io"
	"os/exec"
	"path/filepath"
)

// watchdogScript waits for the end of its standard input. A word on it means that
// the owner has cleaned up; a bare end means that the owner is dead.
// Processes of the server are found by their working directory, the data
// directory, which also finds those whose postmaster is gone; ps is for
// systems without /proc.
const watchdogScript = `
read -r word && exit 0
data=$1/data
cd /
pids() {
	if [ -d /proc/self ]; then
		for p in /proc/[0-9]*; do
			[ "$(readlink "$p/cwd" 2>/dev/null)" = "$data" ] && echo "${p#/proc/}"
		done
	elif [ -n "$postmaster" ]; then
		ps -A -o pid=,ppid= | awk -v p="$postmaster" '$1 == p || $2 == p { print $1 }'
	fi
}
postmaster=$(head -n 1 "$data/postmaster.pid" 2>/dev/null)
segment=$(sed -n '7s/.*[[:space:]]//p' "$data/postmaster.pid" 2>/dev/null)
all=$(pids)
if [ -n "$all" ]; then
	kill -QUIT "$postmaster" 2>/dev/null
	kill -CONT $all 2>/dev/null
	n=0
	while [ $n -lt 30 ] && [ -n "$(pids)" ]; do sleep 0.1; n=$((n + 1)); done
	kill -KILL $(pids) $all 2>/dev/null
fi
[ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
n=0
while [ $n -lt 30 ] && ! rm -rf "$1" 2>/dev/null; do sleep 0.1; n=$((n + 1)); done
`

// A watchdog outlives its owner and cleans up behind it.
type watchdog struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func startWatchdog(root string, who account) (*watchdog, error) {
	// No context: it must outlive every context of the owner.
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "perdure-pg-watchdog", filepath.Clean(root)) //nolint:gosec,noctx // our own script and directory
	cmd.Dir = "/"
	cmd.SysProcAttr = who.attributes()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	return &watchdog{cmd: cmd, stdin: stdin}, nil
}

// dismiss ends the watchdog, which then cleans up nothing.
func (w *watchdog) dismiss() error {
	_, err := io.WriteString(w.stdin, "done\n")
	return errors.Join(err, w.stdin.Close(), w.cmd.Wait())
}
