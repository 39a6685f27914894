package flights

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

var server pgclustertest.Shared

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(server.Wrap(m))
}
