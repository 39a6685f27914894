package pgerr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/perdure/perdure/pgerr"
)

// serverError stands for a driver's error of the server.
type serverError struct{ code string }

func (e serverError) Error() string    { return "ERROR (SQLSTATE " + e.code + ")" }
func (e serverError) SQLState() string { return e.code }

func ExampleClassify() {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, err := range []error{
		fmt.Errorf("load: %w", serverError{"40001"}),
		serverError{"23505"},
		refused,
		io.ErrUnexpectedEOF,
		errors.New("no such customer"),
	} {
		v := pgerr.Classify(err)
		fmt.Printf("%v, retry %v, effect %v, trips %v\n", v.Category, v.Retry, v.Effect, v.Trips)
	}
	// Output:
	// transient, retry transaction, effect none, trips none
	// constraint, retry never, effect none, trips none
	// connection, retry wait, effect none, trips database
	// connection, retry reconnect, effect unknown, trips database
	// unknown, retry never, effect unknown, trips none
}

// The same code from this server and, through postgres_fdw, from another one.
func ExampleClassifyFields() {
	for _, severity := range []string{"FATAL", "ERROR"} {
		v := pgerr.ClassifyFields(pgerr.Fields{SQLState: "08006", Severity: severity})
		fmt.Printf("%s: %v, retry %v, effect %v, trips %v\n", severity, v.Category, v.Retry, v.Effect, v.Trips)
	}
	// Output:
	// FATAL: connection, retry reconnect, effect unknown, trips database
	// ERROR: foreign, retry never, effect none, trips none
}

// Lost while a statement runs, nobody knows; lost while connecting, nothing ran.
func ExampleClassifyConnect() {
	fmt.Println(pgerr.Classify(io.ErrUnexpectedEOF).Effect, pgerr.ClassifyConnect(io.ErrUnexpectedEOF).Effect)
	// Output: unknown none
}

func ExampleLookup() {
	entry, ok := pgerr.Lookup("40P01")
	fmt.Println(entry.Condition, entry.Retry, ok)
	// Output: deadlock_detected transaction true
}

func ExampleAll() {
	n := 0
	for entry := range pgerr.All() {
		if entry.Trips == pgerr.ScopeDatabase {
			n++
		}
	}
	fmt.Println(n, "codes are evidence against the database")
	// Output: 12 codes are evidence against the database
}

func ExampleCategory_UnmarshalText() {
	var only []pgerr.Category
	err := json.Unmarshal([]byte(`["transient", "lock"]`), &only)
	fmt.Println(only[0], only[1], err)
	err = json.Unmarshal([]byte(`["deadlock"]`), &only)
	fmt.Println(err != nil)
	// Output:
	// transient lock <nil>
	// true
}
