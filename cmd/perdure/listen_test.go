package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// freePort sets a variable to an address that was free a moment ago.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], ln.Addr().String())
	ts.Check(ln.Close())
}

// waitFor waits until a path of the listener at $PERDURE_ADDR answers with 200
// and a text.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	url := "http://" + ts.Getenv("PERDURE_ADDR") + args[0]
	deadline := time.Now().Add(2 * time.Minute)
	last := "nothing"
	for time.Now().Before(deadline) {
		r, err := http.Get(url)
		if err != nil {
			continue
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if last = string(b); err == nil && r.StatusCode == http.StatusOK && strings.Contains(last, args[1]) {
			return
		}
	}
	ts.Fatalf("GET %s does not answer with %q; the last answer: %s", url, args[1], last)
}
