package perdure_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/perdure/perdure"
)

// Declared once, beside the SQL that it names.
var refresh = perdure.Op{Name: "stats.refresh", Idempotent: true}

func ExampleManager_Do() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{Name: "warehouse"}) // the zero Config is the documented default
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)

	attempts := 0
	err = m.Do(ctx, refresh, func(ctx context.Context) error {
		if attempts++; attempts < 3 {
			return io.ErrUnexpectedEOF // the server went away in mid-statement
		}
		return nil
	})
	fmt.Println(attempts, err)
	// Output: 3 <nil>
}

func ExampleGet() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	count := perdure.Op{Name: "orders.count", ReadOnly: true}
	n, err := perdure.Get(ctx, m, count, func(context.Context) (int, error) { return 42, nil })
	fmt.Println(n, err)
	// Output: 42 <nil>
}

// An operation that is neither Idempotent nor ReadOnly is not repeated: nobody
// can know what its first attempt did. The error says so.
func ExampleError() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	err = m.Do(ctx, perdure.Op{Name: "orders.insert"}, func(context.Context) error { return io.ErrUnexpectedEOF })
	e, _ := errors.AsType[*perdure.Error](err)
	fmt.Println(e.Attempts, e.Reason, errors.Is(err, io.ErrUnexpectedEOF))
	fmt.Println("Try:", e.Hint)
	// Output:
	// 1 not_idempotent true
	// Try: it may have taken effect: set Op.Idempotent if doing it twice is harmless, or run it with InTx or Once
}

func ExampleTransient() {
	ctx := context.Background()
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(ctx)
	busy := true
	err = m.Do(ctx, refresh, func(context.Context) error {
		if busy {
			busy = false
			return perdure.Transient(errors.New("another refresh is under way"))
		}
		return nil
	})
	fmt.Println(err)
	// Output: <nil>
}
