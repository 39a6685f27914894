package matrix

import (
	"context"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/bench/matrix/subject"
	"github.com/perdure/perdure/pgerr"
)

// row is a fault.
type row struct {
	name  string // for ROW=name, such as "postmaster-kill"
	group string
	title string // what happens, in a few words

	settings map[string]string // of the server
	standby  standby           // what stands beside the server
	pooler   bool              // a pooler stands before it
	tls      bool              // it is reached with TLS, certificate and host name verified
	dns      bool              // it is reached by a name that a name server of ours knows
	tmpfs    bool              // the table lies on a small file system
	since    int               // the first major version that has it; zero means all

	// hold is how long the fault lasts once it has been met. Zero means that it ends then.
	hold time.Duration
	// slow leaves the row out of "make test".
	slow bool

	// work replaces what a transaction does. Nil means: insert the key.
	work func(ctx context.Context, p *place, tx subject.Tx, key int64) error
	// serializable asks for serializable transactions.
	serializable bool
	// only restricts the workload. Zero means all kinds.
	only kind
	// prepare is called before the workload begins. Nil means nothing.
	prepare func(p *place)
	// strike brings the fault about. It returns when the fault is in force, with what ends it
	// and, unless nil, with what says whether a caller has met it.
	strike func(p *place) (mend func(), met func() bool)

	want expectation
}

// standby says what stands beside the server.
type standby int

const (
	alone standby = iota
	asynchronous
	synchronous
)

// expectation is what perdure must have to say about a fault, beside that nothing is lost, doubled or wrongly reported.
type expectation struct {
	// states are SQLSTATEs: its snapshot must have counted one of them. Empty means that none is asked for.
	states []string
	// statesOfPgx says that this holds of pgx only: lib/pq prepares nothing.
	statesOfPgx bool
	// categories are verdicts: one of them must have been counted. Empty means that none is asked for.
	categories []pgerr.Category
	// outcomes must all have been resolved. Empty means that none is asked for.
	outcomes []perdure.Resolution
	// database says whether the breaker of the database opens.
	database answer
	// fails says that calls may fail, honestly: nothing that a caller could do would help. Otherwise each
	// transaction is done in the end.
	fails bool
	// statements says that single statements may fail or be unknown: they carry no marker, and are not repeated
	// after they have been sent.
	statements bool
}

// answer to a question that a fault may leave to chance.
type answer int

const (
	perhaps answer = iota
	yes
	no
)
