package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// gate decides who may change what.
type gate struct {
	admin, read [sha256.Size]byte // of the tokens
	changes     bool              // there is a token for changes
	reads       bool              // there is one for reading
	origin      *http.CrossOriginProtection
	limits      limits
	auditor     Auditor
	log         *slog.Logger
}

func newGate(cfg Config) *gate {
	return &gate{
		admin: sha256.Sum256([]byte(cfg.Token)), read: sha256.Sum256([]byte(cfg.ReadToken)),
		changes: cfg.Token != "", reads: cfg.ReadToken != "",
		origin: http.NewCrossOriginProtection(), auditor: cfg.Auditor, log: cfg.Logger,
	}
}

// admit lets a change through, or a profile, or says why not. What is let
// through has yet to be recorded.
func (g *gate) admit(r *http.Request, t *Try) *problem {
	now, from := time.Now(), prefixOf(r)
	if d := g.limits.barred(from, now); d > 0 {
		return g.over(r.Context(), *t, d, "too many failed tries")
	}
	switch token, given := bearer(r); {
	case g.origin.Check(r) != nil:
		return g.turned(r, *t, problem{
			Status: http.StatusForbidden, Code: "other_origin", Text: "changes are not taken from pages of another origin",
		})
	case !g.changes:
		return g.turned(r, *t, problem{
			Status: http.StatusForbidden, Code: "admin_off", Text: "changes are off", Try: "start the process with --admin",
		})
	case !given:
		return g.turned(r, *t, problem{
			Status: http.StatusUnauthorized, Code: "token_missing", Text: "this needs the admin token",
			Try: "Authorization: Bearer TOKEN, or perdure breakers, which reads the token from its file",
		})
	case !same(token, g.admin):
		return g.failed(r, *t, problem{Status: http.StatusUnauthorized, Code: "token_wrong", Text: "this is not the admin token"})
	}
	if d := g.limits.change(from, now); d > 0 {
		return g.over(r.Context(), *t, d, "too many changes")
	}
	return nil
}

// turned records, up to a limit, a refusal of what was no try to guess a token.
// It is not counted against the client: any page that somebody has open can ask
// without one, from the address of the person who has the right one.
func (g *gate) turned(r *http.Request, t Try, p problem) *problem {
	if now := time.Now(); g.limits.turn(now) == 0 || g.limits.suppress(now) {
		g.refused(r.Context(), t, p)
	}
	return &p
}

// failed counts, records and limits wrong tokens.
func (g *gate) failed(r *http.Request, t Try, p problem) *problem {
	if d := g.limits.fail(prefixOf(r), time.Now()); d > 0 {
		return g.over(r.Context(), t, d, "too many failed tries")
	}
	g.refused(r.Context(), t, p)
	return &p
}

// over refuses what is over a limit. Its records are limited too, so that
// nobody can fill the disk with them: the next record says how many are missing.
func (g *gate) over(ctx context.Context, t Try, d time.Duration, text string) *problem {
	p := problem{Status: http.StatusTooManyRequests, Code: "too_many_requests", Text: text, Retry: seconds(d)}
	if g.limits.suppress(time.Now()) {
		g.refused(ctx, t, p)
	}
	return &p
}

// refused records a refusal. It stays one if it cannot be recorded.
func (g *gate) refused(ctx context.Context, t Try, p problem) {
	t.Status, t.Code = p.Status, p.Code
	if err := g.record(ctx, t); err != nil {
		g.log.LogAttrs(ctx, slog.LevelError, "a refused try was not audited", slog.String("action", t.Action), slog.String("code", t.Code))
	}
}

// record gives a try to the auditor, whatever becomes of the request.
func (g *gate) record(ctx context.Context, t Try) error {
	t.At = time.Now()
	t.Suppressed = g.limits.unrecorded()
	return g.auditor.Audit(context.WithoutCancel(ctx), t)
}

// profile guards what shows the inside of the process.
func (g *gate) profile(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := Try{Action: "profile", Client: clientOf(r).String()}
		if p := g.admit(r, &t); p != nil {
			challenge(w, p)
			return
		}
		t.Status = http.StatusOK
		if g.record(r.Context(), t) != nil {
			refuse(w, notAudited())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// reading guards what anybody on this machine may read, on a listener that
// others can reach. A browser may give the token as the password of the Basic
// scheme: reading changes nothing, so that it is no matter that a browser sends
// it along with whatever page asks.
func (g *gate) reading(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := Try{Action: "read", Client: clientOf(r).String()}
		if d := g.limits.barred(prefixOf(r), time.Now()); d > 0 {
			refuse(w, *g.over(r.Context(), t, d, "too many failed tries"))
			return
		}
		token, given := bearer(r)
		if !given {
			_, token, given = r.BasicAuth()
		}
		if given && (g.reads && same(token, g.read) || g.changes && same(token, g.admin)) {
			next.ServeHTTP(w, r)
			return
		}
		p := problem{
			Status: http.StatusUnauthorized, Code: "token_missing",
			Text: "reading from another machine needs a token", Try: "Authorization: Bearer TOKEN",
		}
		refused := g.turned
		if given {
			p.Code, p.Text = "token_wrong", "this is not the token for reading"
			refused = g.failed
		}
		w.Header().Add("WWW-Authenticate", `Basic realm="perdure", charset="UTF-8"`)
		challenge(w, refused(r, t, p))
	})
}

// challenge refuses, and says with 401 which scheme is wanted, as RFC 9110 has
// it.
func challenge(w http.ResponseWriter, p *problem) {
	switch {
	case p.Status != http.StatusUnauthorized:
		w.Header().Del("WWW-Authenticate")
	case p.Code == "token_wrong":
		w.Header().Add("WWW-Authenticate", `Bearer realm="perdure", error="invalid_token"`)
	default:
		w.Header().Add("WWW-Authenticate", `Bearer realm="perdure"`)
	}
	refuse(w, *p)
}

func notAudited() problem {
	return problem{
		Status: http.StatusServiceUnavailable, Code: "not_audited",
		Text: "the audit trail takes no records, so nothing was done", Try: "perdure audit verify; look at the disk of the trail",
	}
}

// bearer returns the token of the Authorization header (RFC 6750).
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// same compares in a time that does not depend on where the two differ, nor,
// because hashes are compared, on how long they are.
func same(token string, want [sha256.Size]byte) bool {
	got := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// logAuditor is what audits where no trail is.
type logAuditor struct{ log *slog.Logger }

// Audit writes a log line.
func (a logAuditor) Audit(ctx context.Context, t Try) error {
	level := slog.LevelInfo
	if t.Code != "" {
		level = slog.LevelWarn
	}
	a.log.LogAttrs(ctx, level, "admin change asked for", slog.String("action", t.Action), slog.String("manager", t.Manager),
		slog.String("breaker", t.Breaker), slog.String("client", t.Client), slog.Int("status", t.Status), slog.String("code", t.Code),
		slog.Uint64("suppressed", t.Suppressed))
	return nil
}
