package perduretemporal

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/perdure/perdure/redact"
)

// Config says where Temporal is. The zero value is a server on this machine, as
// Temporal's own tools assume it.
type Config struct {
	// HostPort is the address of the frontend. Zero means 127.0.0.1:7233.
	HostPort string
	// Namespace keeps the runs. It must exist. Zero means "default".
	Namespace string
	// TaskQueue is where workers look for work. All workers of one queue must
	// have the same components and definitions. Zero means "perdure".
	TaskQueue string
	// TLS is how the frontend is spoken to; a client certificate goes in here.
	// Nil means without TLS, or with the system's certificates if there is an APIKey.
	TLS *tls.Config
	// APIKey is sent with every call. Zero means none.
	APIKey redact.Secret
	// Heartbeat is the time without a sign of life after which the server gives
	// a task to another worker. It holds for the runs that this process starts. A sign is
	// given six times as often; a cancelation arrives with the answer to it. Zero means 30s; at least 1s.
	Heartbeat time.Duration
	// Poll is how often Run asks for what DurableOptions.Observe is told. Zero means 1s; at least 10ms.
	Poll time.Duration
	// Log is told what a person may want to know, and what the SDK says of
	// itself. Nil means nobody is.
	Log *slog.Logger
}

const (
	minHeartbeat = time.Second
	minPoll      = 10 * time.Millisecond
)

// withDefaults returns the configuration with its defaults, or all its faults.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	if c.HostPort == "" {
		c.HostPort = "127.0.0.1:7233"
	}
	if _, port, err := net.SplitHostPort(c.HostPort); err != nil || port == "" {
		faults = append(faults, fmt.Errorf("host_port: %q is not HOST:PORT", c.HostPort))
	}
	if c.Namespace == "" {
		c.Namespace = "default"
	}
	if c.TaskQueue == "" {
		c.TaskQueue = "perdure"
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 30 * time.Second
	}
	if c.Heartbeat < minHeartbeat {
		faults = append(faults, fmt.Errorf("heartbeat: %v is less than %v", c.Heartbeat, minHeartbeat))
	}
	if c.Poll == 0 {
		c.Poll = time.Second
	}
	if c.Poll < minPoll {
		faults = append(faults, fmt.Errorf("poll: %v is less than %v", c.Poll, minPoll))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(faults...)
}
