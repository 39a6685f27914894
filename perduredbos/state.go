package perduredbos

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	// appName and appVersion are the same for all processes and programs: DBOS hands runs only
	// to its own version, which by default is a hash of the program.
	appName    = "perdure"
	appVersion = "perdure-1"

	workflowName = "perdure.run"

	startupTime  = 30 * time.Second
	shutdownTime = 10 * time.Second
	// claimTime is how long one process waits while another is taking a run up.
	claimTime = 5 * time.Second
)

// state is where runs are kept: their database, and who is alive.
type state interface {
	// there reports whether something is kept there yet.
	there(ctx context.Context) (bool, error)
	// create makes the place, if it is not there.
	create(ctx context.Context) error
	// database opens the database for one user of it. With migrate it is for making
	// the tables alone, of which nothing is lost if it has to be done again.
	database(ctx context.Context, migrate bool) (database, error)
	// own makes it known that the executor lives, until release or the end of the process.
	own(ctx context.Context, executor string) (owner, error)
	// alive reports whether the executor does.
	alive(ctx context.Context, executor string) (bool, error)
	// claim lets only one process at a time decide who works on the run. It
	// waits for at most claimTime, and then reports false.
	claim(ctx context.Context, run string) (release func(), ok bool, err error)
	// fault makes an error one that names the place and what to try.
	fault(err error) error
	close() error
}

// owner is a sign of life.
type owner interface {
	// check renews it, if it was lost.
	check(ctx context.Context) error
	release()
}

// database is what DBOS is given, which closes it.
type database struct {
	url    string
	sqlite *sql.DB
	schema string
}

func (d database) close() {
	if d.sqlite != nil {
		_ = d.sqlite.Close() // nothing was written
	}
}

// newExecutor returns a name that no other executor ever has: DBOS gives the runs of an executor
// to whoever bears its name.
func newExecutor() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	host = strings.Map(func(r rune) rune {
		if r == '/' || r < 0x21 || r > 0x7e {
			return '-'
		}
		return r
	}, host)
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), strings.ToLower(rand.Text()[:12]))
}

// ownerOf returns HOST/PID of an executor.
func ownerOf(executor string) string {
	if i := strings.LastIndexByte(executor, '/'); i > 0 {
		return executor[:i]
	}
	return executor
}
