package main

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

// databases makes the command of scripts that sets a variable to the URL of a
// new database: database DATABASE_URL. The server is started for the first one, and is that of all scripts.
func databases(t *testing.T) func(ts *testscript.TestScript, neg bool, args []string) {
	server := sync.OnceValue(func() *pgcluster.Cluster { return pgclustertest.New(t, pgcluster.Config{}) })
	return func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv(args[0], pgclustertest.Database(t, server()))
	}
}

// waitFile waits until a file is there.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-look.C {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s is not there after two minutes", args[0])
}

// runName sets RUN to the newest run of a pipeline.
func runName(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("perdure", "runs", "ls", "--output", "json"))
	var out listed
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &out))
	for _, r := range out.Runs {
		if strings.HasPrefix(r.Run, args[0]+".") {
			ts.Setenv("RUN", r.Run)
			return
		}
	}
	ts.Fatalf("there is no run of %s", args[0])
}
