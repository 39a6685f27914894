package matrix

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/bench/matrix/subject"
	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
	"github.com/perdure/perdure/internal/pgcluster/pgclustertest"
	"github.com/perdure/perdure/perdurepgx"
)

// host is the server of a row.
type host struct {
	cluster *pgcluster.Cluster
	ca      string // file with the certificate of the server, if it has one
	disk    string // directory of the small file system, if there is one
	cells   int
}

// newHost starts the server of a row, or says why it cannot be had.
func newHost(tb testing.TB, r row) (*host, string) {
	tb.Helper()
	// Servers are killed here, and not machines: what was written to the system is there afterwards.
	settings := map[string]string{"fsync": "off"}
	maps.Copy(settings, r.settings)
	h := &host{cluster: pgclustertest.New(tb, pgcluster.Config{Settings: settings})}
	if major(h.cluster) < r.since {
		return nil, fmt.Sprintf("needs PostgreSQL %d", r.since)
	}
	if err := h.cluster.AddUser(tb.Context(), role, password); err != nil {
		tb.Fatal(err)
	}
	if r.tls {
		pem, err := h.cluster.EnableTLS(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		h.ca = filepath.Join(tb.TempDir(), "ca.pem")
		if err := os.WriteFile(h.ca, pem, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	if r.tmpfs {
		disk, why := mountDisk(tb)
		if why != "" {
			return nil, why
		}
		h.disk = disk
	}
	return h, ""
}

// major returns the major version of a server.
func major(c *pgcluster.Cluster) int {
	digits := strings.IndexFunc(c.Version(), func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.Atoi(c.Version()[:max(digits, 0)])
	if err != nil {
		return 0
	}
	return n
}

// place makes a database with its proxy for one subject.
func (h *host) place(tb testing.TB, r row, c subject.Candidate) *place {
	tb.Helper()
	h.cells++
	p := &place{TB: tb, row: r, cluster: h.cluster, host: h, database: "cell" + strconv.Itoa(h.cells)}
	p.execIn("postgres", "create database "+p.database)
	where := ""
	if h.disk != "" {
		if h.cells == 1 {
			out, err := exec.CommandContext(tb.Context(), "chown", "--reference="+p.text("show data_directory"), h.disk).CombinedOutput()
			if err != nil {
				tb.Fatalf("chown: %v: %s", err, out)
			}
			p.exec("create tablespace small location '" + h.disk + "'")
		}
		where = " tablespace small"
	}
	p.exec("create table effect (key bigint not null, pad text)" + where + ";; grant all on effect to " + role +
		";; create index on effect (key);; create table hot (id int primary key, n bigint not null);; insert into hot values (1, 0), (2, 0);; grant all on hot to " + role)
	if c.Perdure {
		p.migrate()
	}
	target := h.cluster.Addr()
	if r.pooler {
		p.bouncer = pgclustertest.Pooler(tb, pgcluster.PoolerConfig{
			Server: target, User: role, Password: password, Size: subject.Connections,
			// PgBouncer waits for 15 s before it asks a server again that was away, and lets its clients wait.
			Settings: map[string]string{"server_login_retry": "1"},
		})
		target = p.bouncer.Addr()
	}
	p.withStandby(r.standby)
	p.proxy = faultproxytest.New(tb, faultproxy.Config{Target: target, Seed: 1, PassTLS: r.tls, OnFault: func(f faultproxy.Fault) {
		if do := p.onFault.Load(); do != nil {
			(*do)(f)
		}
	}})
	p.listen()
	p.url = p.through(p.proxy.Addr())
	if r.tls {
		p.url = p.with(map[string]string{"sslmode": "verify-full", "sslrootcert": h.ca})
	}
	if r.dns {
		p.names = newNameServer(tb)
		p.resolver = p.names.resolver()
		_, port, err := net.SplitHostPort(p.proxy.Addr())
		p.ended(err)
		p.url = p.through(net.JoinHostPort(hostName, port))
	}
	if r.prepare != nil {
		r.prepare(p)
	}
	return p
}

// with returns the subject's URL with other parameters.
func (p *place) with(parameters map[string]string) string {
	u, err := url.Parse(p.url)
	p.ended(err)
	q := u.Query()
	for name, value := range parameters {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// migrate creates perdure's table, as the program that owns the database does once.
func (p *place) migrate() {
	p.Helper()
	m, err := perdure.New(perdure.Config{})
	p.ended(err)
	cfg, err := pgxpool.ParseConfig(p.cluster.URL(p.database))
	p.ended(err)
	db, err := perdurepgx.Open(p.bounded(), cfg, m, perdurepgx.Config{})
	p.ended(err)
	defer db.Close()
	p.ended(db.Migrate(p.bounded()))
	p.ended(m.Close(p.bounded()))
}
