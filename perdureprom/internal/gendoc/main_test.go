package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/perdureprom"
)

func TestThePageIsCurrent(t *testing.T) {
	got, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page(perdureprom.Metrics()), string(got)); diff != "" {
		t.Errorf("docs/metrics.md is out of date: run go generate ./perdureprom (-want +got):\n%s", diff)
	}
}
