package perduretest

import (
	"context"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

// op names the suite's work.
func op(name string) perdure.Op { return perdure.Op{Name: "perduretest." + name} }

// Conformance runs the suite against s. It takes some ten seconds.
func Conformance(t *testing.T, s Setup) {
	t.Helper()
	if s.New == nil {
		t.Fatal("perduretest: Setup.New is nil")
	}
	if s.Calls == 0 {
		s.Calls = defaultCalls
	}
	url := s.URL
	var restart func()
	if url == "" {
		c := pgclustertest.New(t, pgcluster.Config{})
		url = c.URL("postgres")
		restart = func() {
			if err := c.Kill(); err != nil {
				t.Errorf("killing the server: %v", err)
			}
			if err := c.Start(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("starting the server: %v", err)
			}
		}
	}
	cases := []struct {
		name string
		run  func(t *testing.T, b *bench)
	}{
		{"commit without perdure's schema", commitInDoubt},
		{"refusals of statements", refusedStatement},
		{"refusals of transactions", refusedTransaction},
		{"lost statements", lostStatement},
		{"connections lost in a transaction", lostTransaction},
		{"read-only work", readOnly},
		{"nested transactions", nested},
		{"errors of the function", untouched},
		{"panics", panics},
		{"a caller's cancel", cancelled},
		{"time limits of attempts", timeLimit},
		{"half-open connections", halfOpen},
		{"parking", parking},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, newBench(t, s, url, restart)) })
	}
	t.Run("schema", func(t *testing.T) {
		b := newBench(t, s, url, restart)
		for range 2 {
			if err := b.Migrate(t.Context()); err != nil {
				t.Fatalf("Migrate = %v", err)
			}
		}
	})
	marked := []struct {
		name string
		run  func(t *testing.T, b *bench)
	}{
		{"commit with perdure's schema", commitInDoubt},
		{"half-open connections with perdure's schema", halfOpen},
		{"once", remembered},
		{"once, twins", twins},
		{"many cuts", storm},
	}
	for _, c := range marked {
		t.Run(c.name, func(t *testing.T) { c.run(t, newBench(t, s, url, restart)) })
	}
	if restart != nil {
		t.Run("kill -9", func(t *testing.T) { crash(t, newBench(t, s, url, restart)) })
	}
}
