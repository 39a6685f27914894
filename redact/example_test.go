package redact_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/perdure/perdure/redact"
)

// What may be said of an error, however it is wrapped.
func ExampleError() {
	fromServer := &pgError{
		Code: "23505", Message: `duplicate key value violates unique constraint "user_email_key"`,
		Detail:    "Key (email)=(alice@example.com) already exists.",
		TableName: "user", ConstraintName: "user_email_key", Routine: "_bt_check_unique",
	}
	err := fmt.Errorf("register alice@example.com: %w", fromServer)
	fmt.Println(redact.Error(err))
	// Output: duplicate key value violates unique constraint "user_email_key" (SQLSTATE 23505, table user, constraint user_email_key)
}

// The program's own words stay if Errorf vouches for them.
func ExampleErrorf() {
	err := redact.Errorf("batch %d of %s: %w", 3, "alice.csv", io.ErrUnexpectedEOF)
	fmt.Println(err)
	fmt.Println(redact.Error(err))
	// Output:
	// batch 3 of alice.csv: unexpected EOF
	// batch 3 of [redacted]: unexpected EOF
}

func ExampleDSN() {
	fmt.Println(redact.DSN("postgres://app:hunter2@db.example:5432/shop?sslmode=verify-full"))
	fmt.Println(redact.DSN("host=db.example user=app password='hunter 2'"))
	fmt.Println(redact.DSN("postgres://app:hunter/2@db.example/shop")) // malformed: nothing is certain
	// Output:
	// postgres://app:[redacted]@db.example:5432/shop?sslmode=verify-full
	// host=db.example user=app password=[redacted]
	// postgres://[redacted]
}

func ExampleSQL() {
	fmt.Println(redact.SQL("insert into app.user (email, age) values ('alice@example.com', 42) -- import of May"))
	fmt.Println(redact.SQL("select * from app.user where name = 'O'Brien'"))
	// Output:
	// insert into app.user (email, age) values (?, ?)
	// select [redacted]
}

func ExampleSecret() {
	cfg := struct{ Host, Password any }{"db.example", redact.NewSecret("hunter2")}
	fmt.Printf("%+v\n", cfg)
	// Output: {Host:db.example Password:[redacted]}
}

// A handler that redacts before any other sees the record.
func ExampleHandler() {
	out := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(redact.Handler(out))
	log.Info("connecting",
		slog.String("to", "postgres://app:hunter2@db.example/shop"), slog.String("sql", "select 'alice'"), slog.Any("args", []any{"alice"}))
	// Output: level=INFO msg=connecting to=postgres://app:[redacted]@db.example/shop sql="select ?" args=[redacted]
}
