package perdurepgx_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurepgx"
)

// withDefaults makes settings the defaults of a database of its own.
func withDefaults(t *testing.T, settings ...string) string {
	t.Helper()
	url := server.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, s := range settings {
		if _, err := conn.Exec(t.Context(), "alter database "+pgx.Identifier{conn.Config().Database}.Sanitize()+" set "+s); err != nil {
			t.Fatal(err)
		}
	}
	return url
}

func TestMigrateUnderAnyDefaults(t *testing.T) {
	t.Parallel()
	url := withDefaults(t, "default_transaction_isolation = 'serializable'", "default_transaction_read_only = on")
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		b := openAt(t, url, "", perdure.Config{}, perdurepgx.Config{}, nil)
		wg.Go(func() { errs[i] = b.Migrate(t.Context()) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Errorf("Migrate = %v", err)
	}
}

func TestTwinsUnderAnyIsolation(t *testing.T) {
	t.Parallel()
	url := withDefaults(t, "default_transaction_isolation = 'serializable'")
	b := openAt(t, url, url, perdure.Config{}, perdurepgx.Config{}, nil)
	b.migrate(t)
	b.exec(t, "create table t (id bigint)")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) {
				return 7, insert(1)(ctx, tx)
			})
			if err != nil || got != 7 {
				t.Errorf("Once = %d, %v, want 7", got, err)
			}
		})
	}
	wg.Wait()
	if n := b.count(t, "t"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// A twin waits for Config.TwinTimeout, whatever the role's statement_timeout
// is; that is for what the function does.
func TestTwinWaitsLongerThanAStatementMay(t *testing.T) {
	t.Parallel()
	url := withDefaults(t, "statement_timeout = '200ms'")
	b := openAt(t, url, url, perdure.Config{}, perdurepgx.Config{}, nil)
	b.migrate(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := perdurepgx.Once(t.Context(), b.DB, opLoad, "k", func(ctx context.Context, tx pgx.Tx) (int, error) {
			var limit string
			if err := tx.QueryRow(ctx, "show statement_timeout").Scan(&limit); err != nil || limit != "200ms" {
				t.Errorf("statement_timeout = %s, %v in the function, want the role's", limit, err)
			}
			close(begun)
			<-goOn
			return 1, nil
		})
		if err != nil {
			t.Errorf("Once = %v", err)
		}
	})
	<-begun
	done := make(chan error, 1)
	go func() {
		once := perdure.Op{Name: "test.twin", Policy: &perdure.Policy{MaxAttempts: 1}}
		_, err := perdurepgx.Once(t.Context(), b.DB, once, "k", func(context.Context, pgx.Tx) (int, error) { return 2, nil })
		done <- err
	}()
	for waited := false; !waited; {
		if err := b.check.QueryRow(t.Context(), "select exists (select from pg_stat_activity where wait_event = 'transactionid' "+
			"and clock_timestamp() - query_start > '400ms' and datname = current_database())").Scan(&waited); err != nil {
			t.Fatal(err)
		}
		if len(done) > 0 {
			break
		}
	}
	close(goOn)
	wg.Wait()
	if err := <-done; err != nil {
		t.Errorf("the twin: %v", err)
	}
}

// The fallback of sslmode=prefer is no second host: a role whose default is
// read only may connect, as with pgx alone.
func TestFallbackWithoutTLSIsNoOtherHost(t *testing.T) {
	t.Parallel()
	url := strings.Replace(withDefaults(t, "default_transaction_read_only = on"), "sslmode=disable", "sslmode=prefer", 1)
	b := openAt(t, url, "", perdure.Config{}, perdurepgx.Config{}, nil)
	if _, err := b.Exec(t.Context(), "select 1"); err != nil {
		t.Errorf("Exec = %v", err)
	}
}

func TestAttemptTimeoutDoesNotEndWhatIsRead(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{Policy: perdure.Policy{AttemptTimeout: 20 * time.Second}}, perdurepgx.Config{})
	rows, err := b.Query(t.Context(), "select repeat('x', 1000) from generate_series(1, 20000)")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != 20000 {
		t.Errorf("%d rows, %v, want 20000 and nil", n, err)
	}
	batch := &pgx.Batch{}
	for range 2 {
		batch.Queue("select repeat('x', 1000) from generate_series(1, 20000)")
	}
	results := b.SendBatch(t.Context(), batch)
	for range 2 {
		if tag, err := results.Exec(); err != nil || tag.RowsAffected() != 20000 {
			t.Errorf("batch: %v, %v, want 20000 rows", tag, err)
		}
	}
	if err := results.Close(); err != nil {
		t.Error(err)
	}
}

// A deadline that ends a statement after its first row is found in the error.
func TestDeadlineBetweenRowsIsFound(t *testing.T) {
	t.Parallel()
	b, _ := through(t, perdure.Config{}, perdurepgx.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	rows, err := b.Query(ctx, "select repeat('x', 100000), case when g > 3 then pg_sleep(60)::text end from generate_series(1, 4) g")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() { // to the end
	}
	if err := rows.Err(); !errors.Is(err, context.DeadlineExceeded) || !isState(err, "57014") {
		t.Errorf("Err = %v, want the deadline and 57014", err)
	}
}
