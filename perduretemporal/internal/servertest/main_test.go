//go:build temporal && unix

package servertest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// envServer names the program of the Temporal server, which make has built: see
// perduretemporal/internal/temporalserver.
const envServer = "PERDURE_TEMPORAL_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(envWorker) != "" {
		os.Exit(work())
	}
	if os.Getenv(envServer) == "" {
		fmt.Fprintf(os.Stderr, "%s is not set: make test-temporal builds the server and sets it\n", envServer)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
