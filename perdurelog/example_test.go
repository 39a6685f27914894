package perdurelog_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurelog"
)

// What a Manager does, as lines of a logger: no SQL, no argument, no message of the server.
func ExampleHooks() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "elapsed", "took", "retry_at", "hint": // not the same each time, or long
				return slog.Attr{}
			}
			return a
		},
	}))
	m, err := perdure.New(perdure.Config{
		Name: "warehouse", Logger: logger,
		Hooks: perdurelog.Hooks(logger, perdurelog.Config{Manager: "warehouse"}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := perdure.WithCorrelationID(context.Background(), "request-7")
	defer m.Close(ctx)
	_ = m.Do(ctx, perdure.Op{Name: "orders.insert"}, func(context.Context) error { return io.ErrUnexpectedEOF })
	// Output:
	// level=WARN msg="attempt failed" manager=warehouse operation=orders.insert correlation_id=request-7 attempt=1 category=connection severity=high error="unexpected EOF"
	// level=ERROR msg="call gave up" manager=warehouse operation=orders.insert correlation_id=request-7 reason=not_idempotent attempts=1 parked=0s category=connection severity=high error="unexpected EOF"
}
