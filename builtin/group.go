package builtin

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// runGroup runs the command and ends what it leaves behind. The pipes are ours and
// not the command's (as exec.Cmd would have them): a child that holds one open would otherwise
// be waited for, and it is ended only after the command has.
func runGroup(cmd *exec.Cmd, stdin []byte, stdout, stderr io.Writer) error {
	own(cmd)
	cmd.WaitDelay = termGrace
	var pipes [3]struct{ r, w *os.File }
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			for _, p := range pipes[:i] {
				closeAll(p.r, p.w)
			}
			return err
		}
		pipes[i].r, pipes[i].w = r, w
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = pipes[0].r, pipes[1].w, pipes[2].w
	err := cmd.Start()
	closeAll(pipes[0].r, pipes[1].w, pipes[2].w)
	if err != nil {
		closeAll(pipes[0].w, pipes[1].r, pipes[2].r)
		return err
	}
	var copies sync.WaitGroup
	copies.Go(func() {
		_, _ = pipes[0].w.Write(stdin) // a command need not read it
		closeAll(pipes[0].w)
	})
	copies.Go(func() { _, _ = io.Copy(stdout, pipes[1].r) }) // it ends with the pipe
	copies.Go(func() { _, _ = io.Copy(stderr, pipes[2].r) })
	err = cmd.Wait()
	endGroup(cmd)
	// Whoever left the group too may hold a pipe for ever.
	t := time.AfterFunc(termGrace, func() { closeAll(pipes[1].r, pipes[2].r) })
	_ = pipes[0].w.SetWriteDeadline(time.Now()) // nobody reads any more
	copies.Wait()
	t.Stop()
	closeAll(pipes[1].r, pipes[2].r)
	return err
}

// closeAll closes ends of pipes. They hold nothing that closing could lose.
func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
