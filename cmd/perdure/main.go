// Command perdure runs database work that finishes exactly once, and shows that
// it does: see "perdure demo".
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(command(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
