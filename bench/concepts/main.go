// Command concepts draws the pictures of docs/concepts.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . -o ../../docs/images

func main() {
	dir := flag.String("o", "docs/images", "directory to write to")
	flag.Parse()
	for name, picture := range pictures() {
		if err := os.WriteFile(filepath.Join(*dir, name), []byte(picture), 0o644); err != nil { //nolint:gosec // documentation
			fmt.Fprintln(os.Stderr, "concepts:", err)
			os.Exit(1)
		}
	}
}

// pictures returns the files by name.
func pictures() map[string]string {
	return map[string]string{
		"ambiguity.svg": ambiguity(),
		"outcomes.svg":  outcomes(),
		"breakers.svg":  breakers(),
		"budgets.svg":   budgets(),
		"parking.svg":   parking(),
	}
}
