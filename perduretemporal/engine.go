package perduretemporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"

	"github.com/perdure/perdure/pipeline"
)

// Engine starts runs on a cluster, waits for them, and tells what is known of
// them. It does no work itself: see [Worker]. It may be used concurrently.
type Engine struct {
	config   Config
	client   client.Client
	convert  converter.DataConverter
	log      *slog.Logger
	identity string // HOST/PID
}

var _ pipeline.Durable = (*Engine)(nil)

// Open connects to the cluster and asks for the namespace. Close ends the connection.
func Open(ctx context.Context, c Config) (*Engine, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	e := &Engine{config: c, convert: newConverter(), log: c.Log, identity: host + "/" + strconv.Itoa(os.Getpid())}
	o := client.Options{
		HostPort: c.HostPort, Namespace: c.Namespace, Identity: e.identity, DataConverter: e.convert,
		Logger: log.NewStructuredLogger(c.Log), ConnectionOptions: client.ConnectionOptions{TLS: c.TLS},
	}
	if !c.APIKey.Empty() {
		o.Credentials = client.NewAPIKeyStaticCredentials(c.APIKey.Reveal())
	}
	if e.client, err = client.DialContext(ctx, o); err != nil {
		return nil, &UnreachableError{HostPort: c.HostPort, Err: err}
	}
	if err := e.namespace(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// namespace checks that there is one.
func (e *Engine) namespace(ctx context.Context) error {
	_, err := e.client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: e.config.Namespace})
	if _, none := errors.AsType[*serviceerror.NamespaceNotFound](err); none {
		return &NamespaceError{Namespace: e.config.Namespace, Err: err}
	}
	if err != nil {
		return &UnreachableError{HostPort: e.config.HostPort, Err: err}
	}
	return nil
}

// Close ends the connection. Runs go on.
func (e *Engine) Close() { e.client.Close() }

// UnreachableError says that no cluster answers at an address.
type UnreachableError struct {
	HostPort string
	Err      error
}

// Error names the address.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("temporal at %s: %v", e.HostPort, e.Err)
}

// Unwrap returns what the connection said.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint says what to look at.
func (e *UnreachableError) Hint() string {
	return "is the address that of Temporal's frontend (its gRPC port, 7233 unless changed), and does it want TLS or an API key?"
}

// NamespaceError says that the cluster has no such namespace.
type NamespaceError struct {
	Namespace string
	Err       error
}

// Error names the namespace.
func (e *NamespaceError) Error() string {
	return fmt.Sprintf("temporal namespace %q: %v", e.Namespace, e.Err)
}

// Unwrap returns what the server said.
func (e *NamespaceError) Unwrap() error { return e.Err }

// Hint says how to make one.
func (e *NamespaceError) Hint() string {
	return "temporal operator namespace create --namespace " + e.Namespace
}

// Cancel asks for the end of a run and returns: its tasks learn of it with their
// next sign of life (see Config.Heartbeat), and the run ends when they have. A run that is over stays as it is. The
// error is [pipeline.ErrNoRun] if there is none.
func (e *Engine) Cancel(ctx context.Context, run string) error {
	s, err := e.look(ctx, run)
	if err != nil {
		return err
	}
	if s.info.Status != pipeline.StatusRunning {
		return nil
	}
	err = e.client.CancelWorkflow(ctx, run, "")
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return nil // it ended meanwhile
	}
	return named(run, err)
}

// named adds the run to an error.
func named(run string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("run %s: %w", run, err)
}
