package main

import (
	"errors"
	"strings"

	"github.com/perdure/perdure/cmd/perdure/internal/client"
)

// clientError gives an error of the client its exit code and what to try.
func clientError(err error) error {
	if r, ok := errors.AsType[*client.RefusedError](err); ok {
		hint := r.Try
		if len(r.Known) > 0 {
			hint = "one of " + strings.Join(r.Known, ", ")
		}
		return &exitError{code: exitFailed, err: err, hint: hint}
	}
	return &exitError{code: exitUnreachable, err: err, hint: "start it with perdure serve, or name it with --addr"}
}
