//go:build !unix

package builtin

import "os/exec"

// own does nothing: there are no process groups here, and only the command itself
// is ended.
func own(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}
