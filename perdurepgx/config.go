package perdurepgx

import (
	"errors"
	"fmt"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/outcome"
	"github.com/perdure/perdure/internal/sqlname"
)

// Outcome is the way in which a commit in doubt is resolved.
type Outcome uint8

// The ways.
const (
	// Auto uses Marker where perdure's table is there and may be used, else Token.
	Auto Outcome = iota
	// Token asks the server for the fate of the transaction's xid. It needs no
	// table and is exact as long as the server has not crashed or failed over
	// since; then "not committed" can be proven, "committed" cannot.
	Token
	// Marker writes a row with each transaction that changes something. It is
	// exact across crash and failover. See [DB.Migrate].
	Marker
)

// String returns "auto", "token" or "marker".
func (o Outcome) String() string {
	switch o {
	case Auto:
		return "auto"
	case Token:
		return "token"
	case Marker:
		return "marker"
	default:
		return fmt.Sprintf("Outcome(%d)", uint8(o))
	}
}

// Config configures a [DB]. The zero Config is the documented default.
type Config struct {
	// Outcome is how a commit in doubt is resolved. Zero means Auto.
	Outcome Outcome
	// Ops are found by the "-- name: X" header of a statement, as sqlc writes it.
	Ops []perdure.Op
	// CommitTimeout is how long a COMMIT may wait for its reply, whatever the
	// caller's context says; past it the commit is in doubt. Zero means 30s.
	CommitTimeout time.Duration
	// ResolveTimeout is how long a doubt may be looked into, whatever the
	// caller's context says; past it the outcome is unknown. Zero means 30s.
	ResolveTimeout time.Duration
	// TwinTimeout is how long a Once waits for another that holds its key,
	// before the attempt fails with 55P03 and is repeated. Zero means 30s.
	TwinTimeout time.Duration
	// Retention is how long the rows of Marker are kept, for people to look at.
	// Zero means 24h; less than 1h is refused. A doubt that is older than half
	// an hour is unknown: another program may keep the rows for only an hour.
	Retention time.Duration
	// Standbys says that the pool is meant to read from standbys: a server in
	// recovery then counts as up. False means that writes are wanted.
	Standbys bool
}

// Validate returns every fault of c, joined, each with the name of its field,
// or nil.
func (c Config) Validate() error {
	var faults []error
	if c.Outcome > Marker {
		faults = append(faults, fmt.Errorf("outcome: %d is not Auto, Token or Marker", c.Outcome))
	}
	faults = append(faults, c.limits().Faults()...)
	faults = append(faults, sqlname.Faults(c.Ops)...)
	return errors.Join(faults...)
}

func (c Config) limits() outcome.Limits {
	return outcome.Limits{Commit: c.CommitTimeout, Resolve: c.ResolveTimeout, Twin: c.TwinTimeout, Retention: c.Retention}
}

func (c Config) withDefaults() Config {
	l := c.limits().WithDefaults()
	c.CommitTimeout, c.ResolveTimeout, c.TwinTimeout, c.Retention = l.Commit, l.Resolve, l.Twin, l.Retention
	return c
}
