package admin

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// The limits of what may be asked with a token, and of tries with a wrong one,
// which are limited harder.
const (
	changeBurst, changeEvery           = 10, 6 * time.Second // of one client
	allChangesBurst, allChangesEvery   = 20, 2 * time.Second
	failureBurst, failureEvery         = 5, 12 * time.Second // of one client
	allFailuresBurst, allFailuresEvery = 20, 3 * time.Second
	// recordEvery bounds how often tries over the limit get a record all the same.
	recordEvery = time.Minute
	// maxClients bounds how many clients are told apart.
	maxClients = 4096
)

// bucket is a token bucket: burst tokens at most, one more each every. The zero
// bucket is full.
type bucket struct {
	spent float64
	at    time.Time
}

// wait returns how long it is until a token is there; zero: there is one.
func (b *bucket) wait(now time.Time, burst int, every time.Duration) time.Duration {
	if !b.at.IsZero() {
		b.spent = max(0, b.spent-float64(now.Sub(b.at))/float64(every))
	}
	b.at = now
	// A token that is there but for a rounding error is there.
	if over := b.spent + 1 - float64(burst); over > 1e-9 {
		return time.Duration(over * float64(every))
	}
	return 0
}

// take takes a token, or returns how long it is until there is one.
func (b *bucket) take(now time.Time, burst int, every time.Duration) time.Duration {
	d := b.wait(now, burst, every)
	if d == 0 {
		b.spent++
	}
	return d
}

// limits are those of all clients. It is safe for concurrent use.
type limits struct {
	mu                sync.Mutex // guards the fields below
	changes, failures bucket     // of all
	turned            bucket     // records of what was no guess
	records           bucket     // records of what is over a limit
	suppressed        uint64
	lines             bucket // log lines of what was refused
	missing           uint64 // of them
	clients           map[netip.Prefix]*clientLimits
	crowd             clientLimits // of all clients for whom there is no room
}

type clientLimits struct{ changes, failures bucket }

func (l *limits) client(p netip.Prefix, now time.Time) *clientLimits {
	if c := l.clients[p]; c != nil {
		return c
	}
	if len(l.clients) >= maxClients {
		for q, c := range l.clients { // those that have all their tokens are as new ones
			if c.changes.wait(now, changeBurst, changeEvery); c.changes.spent > 0 {
				continue
			}
			if c.failures.wait(now, failureBurst, failureEvery); c.failures.spent == 0 {
				delete(l.clients, q)
			}
		}
	}
	if len(l.clients) >= maxClients {
		return &l.crowd
	}
	if l.clients == nil {
		l.clients = map[netip.Prefix]*clientLimits{}
	}
	c := &clientLimits{}
	l.clients[p] = c
	return c
}

// barred returns how long the client has to wait because of its failures.
func (l *limits) barred(p netip.Prefix, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.client(p, now).failures.wait(now, failureBurst, failureEvery)
}

// fail counts a failure, or returns how long to wait: the failure is then over
// the limit of its client or of all.
func (l *limits) fail(p netip.Prefix, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.client(p, now).failures.take(now, failureBurst, failureEvery); d > 0 {
		return d
	}
	return l.failures.take(now, allFailuresBurst, allFailuresEvery)
}

// turn counts a refusal that was no guess, or returns how long it is until one
// is recorded again.
func (l *limits) turn(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turned.take(now, allFailuresBurst, allFailuresEvery)
}

// change counts a change, or returns how long to wait.
func (l *limits) change(p netip.Prefix, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.changes.wait(now, allChangesBurst, allChangesEvery); d > 0 {
		return d
	}
	if d := l.client(p, now).changes.take(now, changeBurst, changeEvery); d > 0 {
		return d
	}
	return l.changes.take(now, allChangesBurst, allChangesEvery)
}

// suppress counts a try over the limit and reports whether it is to be recorded
// all the same.
func (l *limits) suppress(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records.take(now, 1, recordEvery) == 0 {
		return true
	}
	l.suppressed++
	return false
}

// unrecorded returns how many tries got no record since it was last asked.
func (l *limits) unrecorded() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.suppressed
	l.suppressed = 0
	return n
}

// line reports whether a log line of a refusal may be written, and how many were
// not since the last one.
func (l *limits) line(now time.Time) (pass bool, missing uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines.take(now, refusedLineBurst, refusedLineEvery) > 0 {
		l.missing++
		return false, 0
	}
	missing, l.missing = l.missing, 0
	return true, missing
}

// clientOf returns who asks: an IPv4 address, or the /64 network of an IPv6
// address, because whoever has one has all of it. What proxies say of their
// clients is not asked: anybody can say it.
func clientOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

func prefixOf(r *http.Request) netip.Prefix {
	ip := clientOf(r)
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil { // not an address: all of those are one client
		return netip.Prefix{}
	}
	return p
}
