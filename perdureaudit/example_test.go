package perdureaudit_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/perdureaudit"
)

// A Manager's breakers, give-ups and outcomes go to a trail.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	trail, err := audit.Open(audit.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	recorder, err := perdureaudit.New(trail, perdureaudit.Config{Manager: "warehouse"})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := perdure.New(perdure.Config{Name: "warehouse", Hooks: recorder.Hooks()})
	if err != nil {
		fmt.Println(err)
		return
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- recorder.Run(running) }()

	m.Breaker("database").HoldOpen("upgrade to 18")

	err = m.Close(ctx) // first the Manager, then the recorder, then the trail
	stop()
	if err := errors.Join(err, <-done, trail.Close()); err != nil {
		fmt.Println(err)
		return
	}
	for e, err := range audit.Tail(ctx, audit.TailConfig{Dir: dir, Kinds: []audit.Kind{audit.KindHold}}) {
		fmt.Println(e.Manager, e.Subject, e.Action, e.Text, err)
	}
	// Output: warehouse database hold-open upgrade to 18 <nil>
}
