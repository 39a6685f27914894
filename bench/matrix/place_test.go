package matrix

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
	"github.com/perdure/perdure/internal/pgcluster"
)

// patience is how long anything may take that has to happen in the end; a machine may be slow.
const patience = 90 * time.Second

const (
	role     = "app"
	password = "secret"
)

// place is where a row is run for one subject: a server with a proxy before it, through which the
// subject goes, and a way past the proxy.
type place struct {
	testing.TB

	row      row
	cluster  *pgcluster.Cluster
	second   *pgcluster.Cluster // the standby
	bouncer  *pgcluster.Pooler
	proxy    *faultproxy.Proxy
	database string
	url      string // the subject's, through the proxy
	resolver *net.Resolver
	names    *nameServer
	work     *workload
	dawdler  dawdler
	admin    *pgx.Conn // what ask and text use
	// failedOver is when an asynchronous standby took over; zero if none did.
	failedOver time.Time
	host       *host

	ran     atomic.Int64                           // statements that went to the server
	onFault atomic.Pointer[func(faultproxy.Fault)] // what to do at a strike

	mu    sync.Mutex // guards the field below
	codes map[string]int
}

// listen makes the proxy count what goes through it.
func (p *place) listen() {
	p.codes = map[string]int{}
	p.rule(faultproxy.Rule{Name: "errors", Match: faultproxy.Match{Message: faultproxy.ErrorResponse, Text: func(code string) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.codes[code]++
		return false
	}}})
	p.rule(faultproxy.Rule{Name: "statements", Match: faultproxy.Match{Message: faultproxy.Run, Text: func(string) bool {
		p.ran.Add(1)
		return false
	}}})
}

// rule puts a rule in force for as long as the cell lasts.
func (p *place) rule(r faultproxy.Rule) *faultproxy.RuleHandle {
	p.Helper()
	h := faultproxytest.Add(p, p.proxy, r)
	p.Cleanup(h.Remove)
	return h
}

// seen returns how often the server has answered with one of some SQLSTATEs.
func (p *place) seen(codes ...string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range codes {
		n += p.codes[c]
	}
	return n
}

// answered returns what says whether the server has since answered so.
func (p *place) answered(codes ...string) func() bool { return p.answeredOften(1, codes...) }

// answeredOften returns what says whether the server has since answered so n times.
func (p *place) answeredOften(n int, codes ...string) func() bool {
	before := p.seen(codes...)
	return func() bool { return p.seen(codes...) >= before+n }
}

// connect opens a session of the superuser's past the proxy.
func (p *place) connect(c *pgcluster.Cluster) *pgx.Conn {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(p.database))
	if err != nil {
		p.Fatalf("connecting past the proxy: %v", err)
	}
	return conn
}

// exec runs statements as the superuser.
func (p *place) exec(sql string) {
	p.Helper()
	p.execIn(p.database, sql)
}

// execIn does so in another database.
func (p *place) execIn(database, sql string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.cluster.URL(database))
	if err != nil {
		p.Fatalf("connecting past the proxy: %v", err)
	}
	defer conn.Close(ctx)
	for statement := range strings.SplitSeq(sql, ";;") {
		if _, err := conn.Exec(ctx, statement); err != nil {
			p.Fatalf("%s: %v", statement, err)
		}
	}
}

// ask returns the number that a query has for an answer.
func (p *place) ask(sql string) (n int) {
	p.Helper()
	p.answer(sql, &n)
	return n
}

// text returns the text that a query has for an answer.
func (p *place) text(sql string) (answer string) {
	p.Helper()
	p.answer(sql, &answer)
	return answer
}

// answer asks on a session that is kept, or on a new one when that has been lost with its server.
func (p *place) answer(sql string, to any) {
	p.Helper()
	if p.admin != nil {
		if p.admin.Config().Port == uint16(p.cluster.Port()) && p.admin.QueryRow(p.Context(), sql).Scan(to) == nil {
			return
		}
		_ = p.admin.Close(p.Context())
	} else {
		p.Cleanup(p.hangUp)
	}
	p.admin = p.connect(p.cluster)
	if err := p.admin.QueryRow(p.Context(), sql).Scan(to); err != nil {
		p.Fatalf("%s: %v", sql, err)
	}
}

// hangUp ends the session that ask keeps.
func (p *place) hangUp() {
	if p.admin != nil {
		_ = p.admin.Close(p.bounded())
	}
}

// dial opens a session of the superuser's past the proxy. It may be used on any goroutine.
func (p *place) dial(ctx context.Context) (*pgx.Conn, error) { return p.dialIn(ctx, p.database) }

func (p *place) dialIn(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, p.cluster.URL(database))
}

// eventually waits until a condition holds.
func (p *place) eventually(what string, holds func() bool) {
	p.Helper()
	limit := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(limit) {
			p.Fatalf("%s: not after %s", what, patience)
		}
		sleep(p.Context(), 5*time.Millisecond)
	}
}

// ended fails the cell when a step of a fault went wrong.
func (p *place) ended(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// bounded returns a context for a step of a fault.
func (p *place) bounded() context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.Context()), patience)
	p.Cleanup(cancel)
	return ctx
}

// through returns the URL of the subject by way of addr.
func (p *place) through(addr string) string {
	u, err := url.Parse(p.cluster.UserURL(role, password, p.database))
	p.ended(err)
	u.Host = addr
	return u.String()
}

// terminate ends the subject's sessions that a condition on pg_stat_activity fits, and returns how many there were.
func (p *place) terminate(condition string) int {
	p.Helper()
	return p.ask("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = '" + role + "' and " + condition)
}

// ends ends such sessions, at least one, and returns what says whether their clients have been told.
func (p *place) ends(condition string) (told func() bool) {
	p.Helper()
	before := p.proxy.Stats().HangUps
	n := p.terminate(condition)
	if n == 0 {
		p.Fatalf("no session of the subject with %s", condition)
	}
	return func() bool { return p.proxy.Stats().HangUps >= before+int64(n) }
}
