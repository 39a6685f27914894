package perdure_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
)

func TestARestartForgetsNeitherTroubleNorHolds(t *testing.T) {
	op := perdure.Op{Name: "save.broken", Idempotent: true, Policy: &perdure.Policy{Breaker: brittle, MaxAttempts: 1}}
	held := perdure.Op{Name: "save.held", ReadOnly: true}
	bubble(t, perdure.Config{Name: "shop"}, func(t managed) {
		before := t.m
		_ = before.Do(t.Context(), op, lost)
		_ = before.Do(t.Context(), held, succeed)
		before.Breaker(held.Name).HoldOpen("maintenance")
		before.Breaker("database").Trip("it was down a second ago")
		var file bytes.Buffer
		if err := before.Save(&file); err != nil {
			t.Fatal(err)
		}
		saved := file.String()

		after := newManager(t, perdure.Config{Name: "shop"})
		if err := after.Restore(strings.NewReader(saved)); err != nil {
			t.Fatal(err)
		}
		// What no call has used yet is kept through another restart.
		file.Reset()
		if err := after.Save(&file); err != nil {
			t.Fatal(err)
		}
		after = restart(t.T, after, file.String())

		up := after.DatabaseUp()
		// No prober: it half-opens by time, and at once, for it was down before. Without a call it does not close.
		if after.Breaker("database").State() == breaker.Closed {
			t.Error("the database's breaker has forgotten that it was open")
		}
		<-up
		for range 3 {
			if err := after.Do(t.Context(), readOnly, succeed); err != nil {
				t.Error(err)
			}
		}
		sleep(t.Context(), time.Minute)
		if err := after.Do(t.Context(), held, succeed); !errors.Is(err, perdure.ErrBreakerOpen) {
			t.Errorf("the held operation: %v, want breaker open", err)
		}
		if err := after.Do(t.Context(), op, succeed); err != nil {
			t.Errorf("the broken operation: %v, want its first call to be the probe", err)
		}
		if err := after.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// restart closes m and returns a new Manager with what was saved.
func restart(t *testing.T, m *perdure.Manager, saved string) *perdure.Manager {
	t.Helper()
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	next := newManager(t, perdure.Config{Name: m.Name()})
	if err := next.Restore(strings.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	return next
}

func TestRestoreRefusesWhatItCannotBe(t *testing.T) {
	m := newManager(t, perdure.Config{Name: "shop"})
	var file bytes.Buffer
	if err := m.Save(&file); err != nil {
		t.Fatal(err)
	}
	good := file.String()
	for _, tt := range []struct{ name, input, want string }{
		{"nothing", "", "unexpected end"},
		{"a file cut short", good[:len(good)/2], "unexpected end"},
		{"another version", strings.Replace(good, `"version": 1`, `"version": 9`, 1), "version: 9 is not 1"},
		{"another database's", strings.Replace(good, "shop", "bank", 1), `manager: the state is that of "bank", not of "shop"`},
		{"a breaker that cannot be", strings.Replace(good, `"successes": 0`, `"successes": 0, "level": -5`, 1), "database.level: -5"},
		{"an operation's breaker that cannot be", withOperation(good, "a.b", `"state": "closed", "level": -5`), `operations["a.b"].level: -5`},
		{"an operation that cannot be", withOperation(good, "a b", `"state": "closed"`), `operations: operation name "a b": byte 1`},
		{"more than anybody saves", good + strings.Repeat(" ", 64<<20), "larger than 64 MiB"},
		{"not JSON", "breaker: closed", "invalid character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := m.Restore(strings.NewReader(tt.input))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Restore() = %v, want it to say %q", err, tt.want)
			}
		})
	}
	if err := m.Restore(iotest.ErrReader(errOwn)); !errors.Is(err, errOwn) {
		t.Errorf("Restore() from a broken reader = %v", err)
	}
	if err := m.Restore(strings.NewReader(good)); err != nil {
		t.Errorf("Restore() of what Save wrote = %v", err)
	}
}

// withOperation puts the state of one more operation into what Save wrote.
func withOperation(saved, name, fields string) string {
	return strings.TrimSuffix(strings.TrimSpace(saved), "}") +
		fmt.Sprintf(`, "operations": {%q: {"version": 1, "at": "2026-01-01T00:00:00Z", %s}}}`, name, fields)
}

func TestRestoreReachesOperationsInUse(t *testing.T) {
	m := newManager(t, perdure.Config{})
	if err := m.Declare(perdure.Op{Name: "in.use"}, perdure.Op{Name: "idle"}); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := m.Save(&file); err != nil {
		t.Fatal(err)
	}
	m.Breaker("in.use").HoldOpen("maintenance")
	var held bytes.Buffer
	if err := m.Save(&held); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		saved string
		want  breaker.Held
	}{{file.String(), breaker.NotHeld}, {held.String(), breaker.HeldOpen}} {
		if err := m.Restore(strings.NewReader(tt.saved)); err != nil {
			t.Fatal(err)
		}
		if got := m.Breaker("in.use").Held(); got != tt.want {
			t.Errorf("after Restore the operation is %s, want %s", got, tt.want)
		}
	}
}

func TestSaveTellsThatItsWriterFailed(t *testing.T) {
	m := newManager(t, perdure.Config{})
	if err := m.Save(failing{}); !errors.Is(err, errOwn) {
		t.Errorf("Save() = %v, want it to wrap the writer's error", err)
	}
}

// failing is a writer that takes nothing.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errOwn }

func TestRestoreIsBounded(t *testing.T) {
	m := newManager(t, perdure.Config{MaxOperations: 5})
	var file bytes.Buffer
	if err := m.Save(&file); err != nil {
		t.Fatal(err)
	}
	var ops []string
	for i := range 50 {
		ops = append(ops, fmt.Sprintf(`"op-%d": {"version": 1, "state": "closed", "at": "2026-01-01T00:00:00Z", "successes": 0, "failures": 0}`, i))
	}
	input := strings.TrimSuffix(strings.TrimSpace(file.String()), "}") + `, "operations": {` + strings.Join(ops, ",") + "}}"
	if err := m.Restore(strings.NewReader(input)); err != nil {
		t.Fatal(err)
	}
	file.Reset()
	if err := m.Save(&file); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(file.String(), `"op-`); n != 5 {
		t.Errorf("%d operations were kept, want 5", n)
	}
}

func FuzzRestore(f *testing.F) {
	m, err := perdure.New(perdure.Config{})
	if err != nil {
		f.Fatal(err)
	}
	var file bytes.Buffer
	if err := m.Save(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.String())
	f.Add(`{"version":1,"manager":"default","operations":{"a":{"version":1,"state":"open"}}}`)
	f.Fuzz(func(t *testing.T, input string) {
		m := newManager(t, perdure.Config{})
		if err := m.Restore(strings.NewReader(input)); err != nil {
			return
		}
		var file bytes.Buffer
		if err := m.Save(&file); err != nil {
			t.Fatal(err)
		}
		if err := newManager(t, perdure.Config{}).Restore(&file); err != nil {
			t.Errorf("what Save wrote after Restore(%q) cannot be restored: %v", input, err)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
