// Command gendoc writes docs/configuration.md from the fields of package
// config and of the library's own configuration, and from their comments.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	out := flag.String("o", "docs/configuration.md", "file to write")
	flag.Parse()
	if err := run(*root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}

func run(root, out string) error {
	text, err := page(root)
	if err != nil {
		return err
	}
	return os.WriteFile(out, []byte(text), 0o644) //nolint:gosec // documentation
}
