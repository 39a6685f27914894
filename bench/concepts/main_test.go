package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePicturesAreCurrentAndWellFormed(t *testing.T) {
	for name, picture := range pictures() {
		have, err := os.ReadFile(filepath.Join("../../docs/images", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != picture {
			t.Errorf("docs/images/%s is not what is drawn: run go generate ./bench/concepts", name)
		}
		d := xml.NewDecoder(strings.NewReader(picture))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s is not well formed: %v", name, err)
			}
		}
		for _, want := range []string{`role="img"`, "<title id=", "<desc id=", "prefers-color-scheme:dark"} {
			if !strings.Contains(picture, want) {
				t.Errorf("%s has no %s", name, want)
			}
		}
		if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
			t.Errorf("%s has a coordinate that is no number", name)
		}
	}
}
