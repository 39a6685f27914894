package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newManager(t *testing.T) *perdure.Manager {
	t.Helper()
	m, err := perdure.New(perdure.Config{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestASaveThatFails is said once, warned of as long as it lasts, and made up
// for; a change is saved at once.
func TestASaveThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	dir, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t)
		var log bytes.Buffer
		s := newSaver(dir, []*perdure.Manager{m}, slog.New(slog.NewTextHandler(&log, nil)))
		m.AddHooks(s.hook())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.run(ctx, time.Minute) }()

		m.Breaker("database").HoldOpen("maintenance")
		synctest.Wait()
		b, err := os.ReadFile(filepath.Join(path, "breakers-shop.json"))
		if err != nil || !strings.Contains(string(b), "maintenance") {
			t.Errorf("after a hold the file holds %q, %v", b, err)
		}
		if err := s.check().Run(ctx); err != nil {
			t.Errorf("check = %v", err)
		}

		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		<-time.After(3*time.Minute + time.Second)
		if err := s.check().Run(ctx); err == nil {
			t.Error("check = nil while nothing is saved")
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		if err := s.check().Run(ctx); err != nil {
			t.Errorf("check = %v when it is saved again", err)
		}
		cancel()
		<-ended
		if strings.Count(log.String(), "is not saved") != 1 || strings.Count(log.String(), "is saved again") != 1 {
			t.Errorf("log:\n%s", &log)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestTheStateOfAnotherIsSetAside: a file that is whole, but not this Manager's.
func TestTheStateOfAnotherIsSetAside(t *testing.T) {
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	m := newManager(t)
	m.Breaker("database").HoldOpen("maintenance")
	if err := dir.Write("breakers-other.json", m.Save); err != nil {
		t.Fatal(err)
	}
	other, err := perdure.New(perdure.Config{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	newSaver(dir, []*perdure.Manager{other}, slog.New(slog.NewTextHandler(&log, nil))).restore(t.Context())
	if other.Breaker("database").Held() != breaker.NotHeld || !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("held %v, log %s", other.Breaker("database").Held(), &log)
	}
	for _, m := range []*perdure.Manager{m, other} {
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
