package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/runs"
	"github.com/perdure/perdure/cmd/perdure/internal/state"
)

// Config configures a Server. Only Managers must be set.
type Config struct {
	// Managers are shown, and may be changed. They differ in their names.
	Managers []*perdure.Manager
	// Runs are the runs of pipelines that are shown. Nil means that there are none.
	Runs *runs.Registry
	// Metrics is what /metrics shows. Nil means that there is no such path.
	Metrics prometheus.Gatherer
	// Routes are served beside the Server's own: probes, the dashboard, its events.
	Routes []Route
	// Token is the bearer token for changes and profiles. Empty means that there are none.
	Token string
	// Remote says that the listener may be on another address than loopback. Reading then needs
	// ReadToken or Token.
	Remote bool
	// ReadToken lets whoever has it read, no more. Empty means that only Token does.
	ReadToken string
	// OpenMetrics lets anybody who reaches the listener read /metrics.
	OpenMetrics bool
	// Hosts are the names, without a port, by which the listener may be called beside localhost and
	// any IP address.
	Hosts []string
	// Auditor records every change that is asked for. Nil means that Logger alone is told.
	Auditor Auditor
	// Logger gets a line for each request: Debug for reading, Info for changes, Warn for what was
	// refused. Nil means no logging.
	Logger *slog.Logger
	// Grace is how long requests may take to end when the Server stops. Zero means 5s.
	Grace time.Duration
}

// Route is a handler of somebody else.
type Route struct {
	// Pattern is "METHOD /path", as http.ServeMux reads it; GET means HEAD too.
	Pattern string
	Handler http.Handler
	// Open says that it may be read without a token also where reading needs one: a probe.
	Open bool
	// Stream says that the answer goes on for long: it has a deadline for each write instead of one
	// for all, and ends when the Server stops.
	Stream bool
}

// Auditor records what was asked for on the listener. Audit returns when the
// record is safe, or an error; it is called concurrently.
type Auditor interface {
	Audit(ctx context.Context, t Try) error
}

// Try is a change, or a profile, that somebody asked for.
type Try struct {
	At      time.Time
	Action  string // hold-open, hold-closed, release, profile, read
	Manager string // empty: not named, or not a name
	Breaker string // likewise
	Client  string // the address, without the port
	Status  int    // the answer's; 200: it is about to be done
	Code    string // of the refusal; empty if it is about to be done
	Reason  string // what the person said; only of those that were let in
	// Suppressed counts the tries before this one that were over the limit and got no record of
	// their own.
	Suppressed uint64
}

const defaultGrace = 5 * time.Second

func (c Config) validate() error {
	var faults []error
	if len(c.Managers) == 0 {
		faults = append(faults, errors.New("managers: there are none"))
	}
	seen := map[string]bool{}
	for i, m := range c.Managers {
		switch {
		case m == nil:
			faults = append(faults, fmt.Errorf("managers[%d]: is nil", i))
		case seen[m.Name()]:
			faults = append(faults, fmt.Errorf("managers[%d]: another one is named %q", i, m.Name()))
		default:
			seen[m.Name()] = true
		}
	}
	for name, token := range map[string]string{"token": c.Token, "read_token": c.ReadToken} {
		if token == "" {
			continue
		}
		if err := state.CheckToken(token); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	if c.Remote && c.Token == "" && c.ReadToken == "" {
		faults = append(faults, errors.New("remote: without a token nobody could read"))
	}
	for i, h := range c.Hosts {
		if err := CheckHost(h); err != nil {
			faults = append(faults, fmt.Errorf("hosts[%d]: %w", i, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// hostName is a DNS name (RFC 1123).
var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`) //nolint:gochecknoglobals // it never changes

// CheckHost returns why a text cannot be one of Config.Hosts, or nil.
func CheckHost(h string) error {
	if len(h) > 253 || !hostName.MatchString(h) {
		return fmt.Errorf("%q is not a host name without a port", h)
	}
	return nil
}

func lowerAll(hosts []string) map[string]bool {
	all := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		all[strings.ToLower(h)] = true
	}
	return all
}
