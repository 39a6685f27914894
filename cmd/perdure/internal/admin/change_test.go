package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/admin"
)

func (f *fixture) audited() []string {
	var all []string
	for _, t := range f.trail.all() {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %d %s", t.Action, t.Breaker, t.Status, t.Code)))
	}
	return all
}

func TestAHoldIsMadeAndReleased(t *testing.T) {
	f := newFixture(t, nil)
	post := func(path, body string) answer {
		return f.ask(t, request(http.MethodPost, path, body, "Authorization", bearer))
	}
	a := post(hold, `{"reason": " maintenance of db7 "}`)
	b := f.m.Breaker("database")
	if a.status != http.StatusOK || a.json["changed"] != true || b.Held() != breaker.HeldOpen || b.Snapshot().Reason != "maintenance of db7" {
		t.Errorf("hold-open = %d %v, the breaker %v", a.status, a.json, b)
	}
	if a := post(hold, reason); a.status != http.StatusOK || a.json["changed"] != false || b.Snapshot().Reason != "maintenance of db7" {
		t.Errorf("hold-open again = %d %v", a.status, a.json)
	}
	if a := post("/api/breakers/database/hold-closed?manager=shop", reason); a.json["changed"] != true || b.Held() != breaker.HeldClosed {
		t.Errorf("hold-closed = %d %v", a.status, a.json)
	}
	if a := post("/api/breakers/database/release", ""); a.json["changed"] != true || b.Held() != breaker.NotHeld {
		t.Errorf("release = %d %v", a.status, a.json)
	}
	if a := post("/api/breakers/database/release", `{"reason": "again"}`); a.status != http.StatusOK || a.json["changed"] != false {
		t.Errorf("release again = %d %v", a.status, a.json)
	}
	if a := post("/api/breakers/orders.claim/hold-open", reason); a.status != http.StatusOK || f.m.Breaker("orders.claim").Held() != breaker.HeldOpen {
		t.Errorf("hold-open of an operation = %d %v", a.status, a.json)
	}
	want := []string{
		"hold-open database 200", "hold-open database 200", "hold-closed database 200",
		"release database 200", "release database 200", "hold-open orders.claim 200",
	}
	if diff := cmp.Diff(want, f.audited()); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
	if try := f.trail.all()[0]; try.Client != "127.0.0.1" || try.Reason != "maintenance of db7" || try.Manager != "shop" || try.At.IsZero() {
		t.Errorf("audited: %+v", try)
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		headers          []string
		status           int
		code             string
	}{
		{"no token", hold, reason, nil, 401, "token_missing"},
		{"another scheme", hold, reason, []string{"Authorization", "Basic " + token}, 401, "token_missing"},
		{"a wrong token", hold, reason, []string{"Authorization", "Bearer " + token + "x"}, 401, "token_wrong"},
		{"an empty token", hold, reason, []string{"Authorization", "Bearer "}, 401, "token_wrong"},
		{"another origin", hold, reason, []string{"Authorization", bearer, "Origin", "https://evil.example"}, 403, "other_origin"},
		{"another site, says the browser", hold, reason, []string{"Authorization", bearer, "Sec-Fetch-Site", "cross-site"}, 403, "other_origin"},
		{"another port of this host", hold, reason, []string{"Authorization", bearer, "Sec-Fetch-Site", "same-site"}, 403, "other_origin"},
		{"an unknown breaker", "/api/breakers/orders.lost/hold-open", reason, []string{"Authorization", bearer}, 404, "unknown_breaker"},
		{"an unknown manager", hold + "?manager=x", reason, []string{"Authorization", bearer}, 404, "unknown_manager"},
		{"no reason", hold, `{}`, []string{"Authorization", bearer}, 400, "reason_missing"},
		{"an empty body", hold, ``, []string{"Authorization", bearer}, 400, "bad_body"},
		{"a reason of blanks", hold, `{"reason": "  "}`, []string{"Authorization", bearer}, 400, "reason_missing"},
		{"a long reason", hold, `{"reason": "` + strings.Repeat("ä", 201) + `"}`, []string{"Authorization", bearer}, 400, "bad_reason"},
		{"a reason over two lines", hold, `{"reason": "a\nb"}`, []string{"Authorization", bearer}, 400, "bad_reason"},
		{"an unknown field", hold, `{"reason": "x", "until": "noon"}`, []string{"Authorization", bearer}, 400, "bad_body"},
		{"two values", hold, `{"reason": "x"} {}`, []string{"Authorization", bearer}, 400, "bad_body"},
		{"not JSON", hold, `reason=x`, []string{"Authorization", bearer}, 400, "bad_body"},
		{"a form", hold, `{"reason": "x"}`, []string{"Authorization", bearer, "Content-Type", "text/plain"}, 415, "not_json"},
		{"a large body", hold, `{"reason": "` + strings.Repeat("x", 5000) + `"}`, []string{"Authorization", bearer}, 413, "too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, nil)
			a := f.ask(t, request(http.MethodPost, c.path, c.body, c.headers...))
			if a.status != c.status || a.json["code"] != c.code {
				t.Errorf("answer = %d %v, want %d %s", a.status, a.json, c.status, c.code)
			}
			if challenge := a.header.Get("WWW-Authenticate"); (c.status == 401) != strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
			tries := f.trail.all()
			if len(tries) != 1 || tries[0].Status != c.status || tries[0].Code != c.code {
				t.Errorf("audited = %+v, want the refusal", tries)
			}
			if f.m.Breaker("database").Held() != breaker.NotHeld {
				t.Error("the breaker is held")
			}
		})
	}
}

func TestAnUnknownBreakerIsToldWhatThereIs(t *testing.T) {
	f := newFixture(t, nil)
	a := f.ask(t, request(http.MethodPost, "/api/breakers/x/release", "", "Authorization", bearer))
	if diff := cmp.Diff([]any{"database", "orders.claim"}, a.json["known"]); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
}

func TestOfSeveralManagersOneMustBeNamed(t *testing.T) {
	other := manager(t, "warehouse")
	f := newFixture(t, func(c *admin.Config) { c.Managers = append(c.Managers, other) })
	a := f.ask(t, request(http.MethodPost, hold, reason, "Authorization", bearer))
	if diff := cmp.Diff([]any{"shop", "warehouse"}, a.json["known"]); a.status != 400 || diff != "" {
		t.Errorf("without ?manager = %d %v", a.status, a.json)
	}
	a = f.ask(t, request(http.MethodPost, hold+"?manager=warehouse", reason, "Authorization", bearer))
	if a.status != 200 || other.Breaker("database").Held() != breaker.HeldOpen || f.m.Breaker("database").Held() != breaker.NotHeld {
		t.Errorf("with ?manager = %d %v", a.status, a.json)
	}
}

func TestWithoutAdminNothingIsChanged(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.Token = "" })
	for _, headers := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", bearer}} {
		a := f.ask(t, request(http.MethodPost, hold, reason, headers...))
		if a.status != 403 || a.json["code"] != "admin_off" {
			t.Errorf("answer = %d %v", a.status, a.json)
		}
	}
}

func TestWhatCannotBeAuditedIsNotDone(t *testing.T) {
	f := newFixture(t, nil)
	f.trail.err = errors.New("no space left on device")
	a := f.ask(t, request(http.MethodPost, hold, reason, "Authorization", bearer))
	if a.status != http.StatusServiceUnavailable || a.json["code"] != "not_audited" || f.m.Breaker("database").Held() != breaker.NotHeld {
		t.Errorf("answer = %d %v, held %v", a.status, a.json, f.m.Breaker("database").Held())
	}
	if a := f.ask(t, request(http.MethodGet, "/debug/pprof/heap", "", "Authorization", bearer)); a.status != http.StatusServiceUnavailable {
		t.Errorf("a profile = %d", a.status)
	}
	if a := f.ask(t, request(http.MethodPost, hold, reason)); a.status != http.StatusUnauthorized {
		t.Errorf("a refusal = %d, want it still refused", a.status)
	}
}

// statuses asks n times and returns the answers' codes.
func (f *fixture) statuses(t *testing.T, n int, from string, headers ...string) []int {
	t.Helper()
	var all []int
	for range n {
		r := request(http.MethodPost, hold, reason, headers...)
		r.RemoteAddr = from
		a := f.ask(t, r)
		all = append(all, a.status)
		if a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	return all
}

func TestWrongTokensAreLimitedAndSoIsTheirRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		const one, two = "127.0.0.1:1", "127.0.0.2:1"
		got := f.statuses(t, 8, one, "Authorization", "Bearer wrong")
		if want := []int{401, 401, 401, 401, 401, 429, 429, 429}; !slices.Equal(got, want) {
			t.Errorf("wrong tokens = %v, want %v", got, want)
		}
		// Otherwise the limit would tell which token is right.
		if got := f.statuses(t, 1, one, "Authorization", bearer); got[0] != 429 {
			t.Errorf("the right token from the same client = %v, want 429", got)
		}
		if got := f.statuses(t, 1, two, "Authorization", bearer); got[0] != 200 {
			t.Errorf("the right token from another client = %v, want 200", got)
		}
		if n := len(f.trail.all()); n != 7 {
			t.Errorf("%d records, want 5 of 401, 1 of 429 and 1 of the change", n)
		}
		if last := f.trail.all()[6]; last.Suppressed != 3 {
			t.Errorf("the next record says that %d are missing, want 3", last.Suppressed)
		}
		<-time.After(12 * time.Second)
		if got := f.statuses(t, 2, one, "Authorization", "Bearer wrong"); !slices.Equal(got, []int{401, 429}) {
			t.Errorf("12 s later = %v, want one more try", got)
		}
		<-time.After(12 * time.Second)
		if got := f.statuses(t, 1, one, "Authorization", bearer); got[0] != 200 {
			t.Errorf("the right token 12 s later = %v, want 200", got)
		}
	})
}

// TestAPageThatSomebodyHasOpenKeepsNobodyOut: it asks from the address of the
// person, without a token, as often as it likes.
func TestAPageThatSomebodyHasOpenKeepsNobodyOut(t *testing.T) {
	for name, headers := range map[string][]string{
		"an image":       {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"},
		"a form":         {"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
		"an old browser": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, func(c *admin.Config) { c.Remote, c.ReadToken = true, readToken })
				for range 40 {
					for _, r := range []*http.Request{
						request(http.MethodGet, "/debug/pprof/", "", headers...), request(http.MethodGet, "/api/breakers", "", headers...),
						request(http.MethodPost, hold, reason, headers...),
					} {
						if a := f.ask(t, r); a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
							t.Fatalf("%s without a token = %d", r.URL.Path, a.status)
						}
					}
				}
				if n := len(f.trail.all()); n != 21 {
					t.Errorf("%d records of 120 refusals, want 20 and one of those over the limit", n)
				}
				if a := f.ask(t, request(http.MethodGet, "/api/breakers", "", "Authorization", "Bearer "+readToken)); a.status != http.StatusOK {
					t.Errorf("the person reads: %d %v", a.status, a.json)
				}
				if a := f.ask(t, request(http.MethodPost, hold, reason, "Authorization", bearer)); a.status != http.StatusOK {
					t.Errorf("the person holds: %d %v", a.status, a.json)
				}
				last := f.trail.all()[21]
				if last.Suppressed != 99 {
					t.Errorf("the next record says that %d are missing, want 99", last.Suppressed)
				}
			})
		})
	}
}

func TestFailuresOfAllClientsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		n := map[int]int{}
		for i := range 50 {
			for _, status := range f.statuses(t, 1, fmt.Sprintf("10.0.0.%d:1", i), "Authorization", "Bearer wrong") {
				n[status]++
			}
		}
		if diff := cmp.Diff(map[int]int{401: 20, 429: 30}, n); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if got := f.statuses(t, 1, "10.0.1.1:1", "Authorization", bearer); got[0] != 200 {
			t.Errorf("the right token of a client without failures = %v", got)
		}
	})
}

func TestANetworkIsOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		var got []int
		for i := range 6 {
			got = append(got, f.statuses(t, 1, fmt.Sprintf("[2001:db8::%x]:1", i+1), "Authorization", "Bearer wrong")...)
		}
		if got[5] != 429 {
			t.Errorf("six addresses of one /64 = %v, want the last one limited", got)
		}
		if got := f.statuses(t, 1, "[2001:db8:0:1::1]:1", "Authorization", "Bearer wrong"); got[0] != 401 {
			t.Errorf("another network = %v", got)
		}
	})
}

func TestChangesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		n := map[int]int{}
		for _, client := range []string{"127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"} {
			got := f.statuses(t, 12, client, "Authorization", bearer)
			for _, status := range got {
				n[status]++
			}
		}
		if diff := cmp.Diff(map[int]int{200: 20, 429: 16}, n); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		<-time.After(6 * time.Second)
		if got := f.statuses(t, 2, "127.0.0.1:1", "Authorization", bearer); !slices.Equal(got, []int{200, 429}) {
			t.Errorf("6 s later = %v, want one more change", got)
		}
	})
}

// TestMoreClientsThanThereIsRoomFor: memory is bounded, and those who find no
// room share one place.
func TestMoreClientsThanThereIsRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *admin.Config) { c.Managers = []*perdure.Manager{c.Managers[0]} })
		last := 0
		for i := range 4200 {
			last = f.statuses(t, 1, fmt.Sprintf("10.%d.%d.1:1", i/256, i%256), "Authorization", "Bearer wrong")[0]
		}
		if last != 429 {
			t.Errorf("the last of 4,200 clients = %d, want 429", last)
		}
		<-time.After(time.Hour) // all have their tokens back: there is room again
		if got := f.statuses(t, 1, "10.99.0.1:1", "Authorization", "Bearer wrong"); got[0] != 401 {
			t.Errorf("an hour later = %v", got)
		}
	})
}
