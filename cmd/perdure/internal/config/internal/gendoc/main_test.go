package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	root = "../../../../../.."
	file = root + "/docs/configuration.md"
)

func TestThePageIsCurrent(t *testing.T) {
	want, err := page(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/configuration.md is out of date: run go generate ./cmd/perdure/internal/config (-want +got):\n%s", diff)
	}
}

// TestEveryKeyIsExplained: a key without a comment would be an empty cell.
func TestEveryKeyIsExplained(t *testing.T) {
	text, err := page(root)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "|  |\n") {
			t.Errorf("no meaning: %s", line)
		}
	}
}
