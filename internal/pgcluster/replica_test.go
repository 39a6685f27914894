package pgcluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

func TestReplicaNameIsChecked(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	if _, err := c.Replica(t.Context(), pgcluster.ReplicaConfig{Name: "it's"}); err == nil {
		t.Error("Replica with a quote in its name succeeded")
	}
}

func TestAsynchronousReplica(t *testing.T) {
	t.Parallel()
	primary := pgclustertest.New(t, pgcluster.Config{})
	replica := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{})
	conn := unfinished(t, primary)
	exec(t, conn, "commit")
	if err := replica.CatchUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	wantRows(t, replica, 1, 2)
	standby := connect(t, replica.URL("postgres"))
	if _, err := standby.Exec(t.Context(), "insert into t values (3)"); sqlState(err) != "25006" {
		t.Errorf("insert on a standby = %v, want 25006", err)
	}

	if err := replica.PauseReplay(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "insert into t values (3)")
	wantRows(t, replica, 1, 2)
	if err := replica.ResumeReplay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := replica.CatchUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	wantRows(t, replica, 1, 2, 3)

	// A primary that is lost leaves what had reached the replica.
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := replica.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, standby, "insert into t values (4)")
	wantRows(t, replica, 1, 2, 3, 4)
	if err := errors.Join(replica.Kill(), replica.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	wantRows(t, replica, 1, 2, 3, 4)
}

func TestSynchronousReplica(t *testing.T) {
	t.Parallel()
	primary := pgclustertest.New(t, pgcluster.Config{})
	first := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{Name: "one", Synchronous: true})
	second := pgclustertest.Replica(t, primary, pgcluster.ReplicaConfig{Name: "two", Synchronous: true})
	conn := unfinished(t, primary)
	if err := second.Freeze(); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "commit")
		committed <- err
	}()
	select {
	case err := <-committed:
		t.Errorf("commit did not wait for the frozen replica: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := second.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(primary.Kill(), first.Promote(t.Context())); err != nil {
		t.Fatal(err)
	}
	// Nobody waits for a replica of the lost primary.
	exec(t, connect(t, first.URL("postgres")), "insert into t values (3)")
	wantRows(t, first, 1, 2, 3)
}
