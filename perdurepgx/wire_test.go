package perdurepgx_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// selfSigned writes a certificate and its key, as the server wants them.
func selfSigned(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("server.crt", "CERTIFICATE", der), write("server.key", "EC PRIVATE KEY", secret)
}

// Under TLS the proxy is blind: connections are cut by CutAll between the
// statements, and the witness must still tell a COMMIT that was not written.
func TestWitnessAboveTLS(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	direct, err := pgx.Connect(t.Context(), c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(context.WithoutCancel(t.Context()))
	var dir string
	if err := direct.QueryRow(t.Context(), "show data_directory").Scan(&dir); err != nil {
		t.Fatal(err)
	}
	own, err := os.Stat(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	cert, key := selfSigned(t, dir)
	chownLike(t, own, cert, key)
	if err := c.Set(t.Context(), "ssl", "on"); err != nil {
		t.Fatal(err)
	}
	proxy, through := faultproxytest.Before(t, c.URL("postgres"), faultproxy.Config{PassTLS: true})
	b := openAt(t, strings.Replace(through, "sslmode=disable", "sslmode=require", 1), "", patient(), perdurepgx.Config{}, nil)
	b.check = direct
	b.exec(t, "create table t (id bigint)")
	attempts := 0
	err = b.InTx(t.Context(), opLoad, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		attempts++
		if err := insert(1)(ctx, tx); err != nil {
			return err
		}
		if attempts == 1 {
			var tls bool
			if err := tx.QueryRow(ctx, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").Scan(&tls); err != nil || !tls {
				t.Errorf("ssl = %v, %v, want an encrypted connection", tls, err)
			}
			proxy.CutAll(faultproxy.RST)
		}
		return nil
	})
	if err != nil || attempts != 2 || b.count(t, "t") != 1 {
		t.Errorf("InTx = %v after %d attempts with %d rows, want nil after 2 with 1", err, attempts, b.count(t, "t"))
	}
	// What is stale is found under TLS too.
	proxy.CutAll(faultproxy.FIN)
	if _, err := b.Exec(t.Context(), "insert into t values (2); select 1"); err != nil {
		t.Errorf("Exec on a stale connection = %v, want nil", err)
	}
}

func TestNoticesExplainTheEnd(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	b := openAt(t, c.URL("postgres"), c.URL("postgres"), perdure.Config{}, perdurepgx.Config{}, nil)
	done := make(chan error, 1)
	go func() {
		_, err := b.Exec(t.Context(), "do $$ begin perform pg_sleep(60); end $$")
		done <- err
	}()
	for n := 0; n == 0; {
		if err := b.check.QueryRow(t.Context(), "select count(*) from pg_stat_activity where wait_event = 'PgSleep'").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Stop(t.Context(), pgcluster.Immediate); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !isState(err, "57P01") || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("Exec = %v, want an EOF that 57P01 explains", err)
	}
}

func TestFrozenServerIsNoticed(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	opened := make(chan time.Time, 1)
	cfg := perdure.Config{Hooks: perdure.Hooks{BreakerChange: func(e perdure.BreakerEvent) {
		if e.Operation == "database" && e.Change.To == breaker.Open {
			select {
			case opened <- time.Now():
			default:
			}
		}
	}}}
	b := openAt(t, c.URL("postgres"), "", cfg, perdurepgx.Config{}, nil)
	if _, err := b.Exec(t.Context(), "select 1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Freeze(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := b.Exec(ctx, "select 1")
		done <- err
	}()
	select {
	case at := <-opened:
		t.Logf("noticed after %v", at.Sub(began).Round(time.Millisecond))
		if limit := 1600 * time.Millisecond; at.Sub(began) > limit {
			t.Errorf("noticed after %v, want at most %v", at.Sub(began), limit)
		}
	case <-ctx.Done():
		t.Error("a frozen server was never noticed")
	}
	if err := c.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Exec = %v, want nil once the server goes on", err)
	}
}

func TestUsersHooksStayInUse(t *testing.T) {
	t.Parallel()
	var notices, failures, connects, acquires, after int
	b := openAt(t, server.Database(t), "", perdure.Config{}, perdurepgx.Config{}, func(p *pgxpool.Config) {
		p.MaxConns = 1
		p.ConnConfig.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { notices++ }
		p.ConnConfig.OnPgError = func(*pgconn.PgConn, *pgconn.PgError) bool { failures++; return true }
		p.ConnConfig.AfterConnect = func(context.Context, *pgconn.PgConn) error { connects++; return nil }
		p.AfterConnect = func(context.Context, *pgx.Conn) error { after++; return nil }
		p.PrepareConn = func(context.Context, *pgx.Conn) (bool, error) { acquires++; return true, nil }
	})
	_, err := b.Exec(t.Context(), "do $$ begin raise notice 'x'; perform 1/0; end $$")
	if err == nil || notices != 1 || failures != 1 || connects != 1 || after != 1 || acquires < 1 {
		t.Errorf("Exec = %v with %d notices, %d errors, %d and %d connects, %d acquires, want one of each and an error", err, notices, failures, connects, after, acquires)
	}
}
