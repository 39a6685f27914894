package faultproxy_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
)

// verified turns a URL into one that insists on TLS with the certificate.
func verified(t *testing.T, plain string, certificate []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.crt")
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {file}}.Encode()
	return u.String()
}

func TestTLS(t *testing.T) {
	t.Parallel()
	c := pgclustertest.New(t, pgcluster.Config{})
	certificate, err := c.EnableTLS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const encrypted = "select ssl::int from pg_stat_ssl where pid = pg_backend_pid()"
	t.Run("without the proxy", func(t *testing.T) {
		t.Parallel()
		if got := number(t, connect(t, verified(t, c.URL("postgres"), certificate)), encrypted); got != 1 {
			t.Error("the connection is not encrypted")
		}
	})
	t.Run("passed on", func(t *testing.T) {
		t.Parallel()
		p, through := faultproxytest.Before(t, c.URL("postgres"), faultproxy.Config{PassTLS: true})
		blind := faultproxytest.Add(t, p, faultproxy.Rule{Name: "blind", Match: commitSent, Action: faultproxy.RST})
		conn := connect(t, verified(t, through, certificate))
		if got := number(t, conn, encrypted); got != 1 {
			t.Error("the connection is not encrypted")
		}
		exec(t, conn, "begin")
		exec(t, conn, "commit")
		if blind.Matches() != 0 {
			t.Error("a rule read an encrypted message")
		}
		p.CutAll(faultproxy.FIN)
		if _, err := conn.Exec(t.Context(), "select 1"); err == nil {
			t.Error("a cut connection answered")
		}
	})
	t.Run("refused by the proxy", func(t *testing.T) {
		t.Parallel()
		_, through := faultproxytest.Before(t, c.URL("postgres"), faultproxy.Config{})
		if _, err := pgx.Connect(t.Context(), verified(t, through, certificate)); err == nil {
			t.Error("connect with TLS succeeded")
		}
	})
	t.Run("passed on to a server that declines", func(t *testing.T) {
		t.Parallel()
		p, through := faultproxytest.Before(t, server.Schema(t), faultproxy.Config{PassTLS: true})
		u, err := url.Parse(through)
		if err != nil {
			t.Fatal(err)
		}
		u.RawQuery = "sslmode=prefer"
		h := faultproxytest.Add(t, p, faultproxy.Rule{Name: "seen", Match: commitSent})
		conn := connect(t, u.String())
		exec(t, conn, "begin")
		exec(t, conn, "commit")
		if h.Hits() != 1 {
			t.Errorf("hits = %d, want 1: the connection is not encrypted", h.Hits())
		}
	})
}
