package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"perdure": main})
}

// TestScripts runs the program as a user does: testdata/script has one file for
// each thing that it promises.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			// No server of whoever runs the tests is ever touched.
			e.Vars = slices.DeleteFunc(e.Vars, func(v string) bool {
				return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "DATABASE_URL=")
			})
			// The server runs as another user when the tests run as root, and
			// could not enter the script's own directory.
			e.Setenv("TMPDIR", os.TempDir())
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"json":  jsonHas,
			"trail": makeTrail,
			"flip":  flipBit,

			"freeport": freePort,
			"waitfor":  waitFor,

			"database": databases(t),
			"waitfile": waitFile,
			"runname":  runName,
		},
	})
}

// exits runs a command and checks its exit code: "exits 3 perdure run flights".
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// jsonHas checks values in the JSON that the last command wrote to stdout:
// json chaos.lost 0. With one argument it checks that the value is there.
func jsonHas(ts *testscript.TestScript, neg bool, args []string) {
	var v any
	d := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile("stdout"))))
	d.UseNumber()
	ts.Check(d.Decode(&v))
	for name := range strings.SplitSeq(args[0], ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			if i >= len(node) {
				ts.Fatalf("%s: there is no element %d", args[0], i)
			}
			v = node[i]
		default:
			v = nil
		}
	}
	if len(args) == 1 {
		if (v == nil) != neg {
			ts.Fatalf("%s = %v", args[0], v)
		}
		return
	}
	got, err := json.Marshal(v)
	ts.Check(err)
	text := strings.Trim(string(got), `"`)
	if (text == strings.Join(args[1:], " ")) == neg {
		ts.Fatalf("%s = %s, want %s (negated: %v)", args[0], text, strings.Join(args[1:], " "), neg)
	}
}
