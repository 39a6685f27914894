package dashboard_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/breaker"
	"github.com/perdure/perdure/cmd/perdure/internal/dashboard"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

var at = time.Date(2026, 3, 29, 14, 2, 23, 0, time.UTC)

// well is a database of which all is well, for a minute.
func well() observe.Manager {
	m := observe.Manager{
		Watched: at.Add(-time.Hour), Changes: map[string]observe.Change{},
		Rates:  observe.Rates{Calls: 1234, P50: 800 * time.Microsecond, P99: 12 * time.Millisecond},
		Recent: map[string]observe.Rates{}, Histories: map[string][]observe.OperationPoint{},
		Pool: &observe.Pool{Acquired: 3, Idle: 4, Max: 10},
	}
	m.Name = "warehouse"
	m.Database = breaker.Snapshot{Threshold: 65, Healthy: 0.016}
	m.Probe.Attached = true
	m.Budget.Ratio = 1
	for _, name := range []string{"features.load", "orders.claim"} {
		m.Operations = append(m.Operations, perdure.OperationSnapshot{
			Name: name, Breaker: &breaker.Snapshot{Threshold: 65, Healthy: 0.002}, Succeeded: 1000, SuccessRate: 1,
		})
		m.Recent[name] = observe.Rates{Calls: 617, P50: time.Millisecond, P99: 10 * time.Millisecond}
	}
	for i := range 60 {
		m.History = append(m.History, observe.Point{At: at.Add(time.Duration(i-60) * time.Second), Rates: m.Rates, Budget: 1})
		for _, o := range m.Operations {
			m.Histories[o.Name] = append(m.Histories[o.Name], observe.OperationPoint{Rates: m.Recent[o.Name]})
		}
	}
	return m
}

// but is a well database with something else.
func but(change func(m *observe.Manager)) observe.Manager {
	m := well()
	change(&m)
	return m
}

func opened(m *observe.Manager, ago time.Duration) {
	m.Database.State, m.Database.Score = breaker.Open, 65
	m.Database.Reason = breaker.ReasonThreshold
	m.Database.NextProbe = at.Add(300 * time.Millisecond)
	m.Probe.Failed, m.Probe.Misses, m.Probe.Error = true, 12, "connection"
	m.Changes["database"] = observe.Change{
		Change: breaker.Change{To: breaker.Open, Reason: breaker.ReasonThreshold, At: at.Add(-ago)}, Since: at.Add(-ago),
	}
}

func view(ms ...observe.Manager) dashboard.View { return dashboard.Build(ms, nil, 1, at, "v1.2.3") }

// TestTheBannerSaysIt: the state word, why and what happens next, for each state.
func TestTheBannerSaysIt(t *testing.T) {
	for name, c := range map[string]struct {
		m     observe.Manager
		class string
		word  string
		says  []string
	}{
		"healthy": {well(), "healthy", "Healthy", []string{"All is well", "every breaker is closed", "never away since 13:02:23 UTC"}},
		"healthy again": {but(func(m *observe.Manager) {
			m.Changes["database"] = observe.Change{Change: breaker.Change{From: breaker.HalfOpen, To: breaker.Closed, Reason: breaker.ReasonRecovered, At: at.Add(-90 * time.Second)}}
		}), "healthy", "Healthy", []string{"All is well", "last away until 14:00:53 UTC (1 min 30 s ago)"}},
		"idle": {but(func(m *observe.Manager) { m.Operations, m.History = nil, nil }), "idle", "Idle", []string{"No calls yet"}},
		"down, and calls wait": {but(func(m *observe.Manager) { opened(m, 12*time.Second); m.Parked = 143 }), "down", "Down", []string{
			"The database does not answer", "Since 14:02:11 UTC (12 s): no connection can be made, 12 probes failed.",
			"143 calls wait and will go on by themselves.", "Next probe in 0.3 s.", "Nothing is lost.", "What to do", "Look at the server",
		}},
		"down, by an error of the server": {but(func(m *observe.Manager) { opened(m, time.Second); m.Probe.Error = "shutdown 57P03" }), "down", "Down", []string{
			"cannot_connect_now, 57P03", "No call waits.",
		}},
		"down since before the watch": {but(func(m *observe.Manager) { opened(m, time.Second); clear(m.Changes) }), "down", "Down", []string{
			"Since before 13:02:23 UTC , when this page began to watch",
		}},
		"down without a probe": {but(func(m *observe.Manager) { opened(m, time.Second); m.Probe = perdure.ProbeSnapshot{} }), "down", "Down", []string{
			"nothing probes this database",
		}},
		"down with an unknown commit": {but(func(m *observe.Manager) { opened(m, time.Second); unknown(m, 2) }), "down", "Down", []string{
			"2 commits are of unknown outcome: see below.",
		}},
		"half-open": {but(func(m *observe.Manager) {
			opened(m, 30*time.Second)
			m.Database.State, m.Database.Reason, m.Parked = breaker.HalfOpen, breaker.ReasonProbed, 1
		}), "recovering", "Recovering", []string{"The database answers again", "a few calls are let through", "not answered since 14:01:53 UTC", "1 call still waits."}},
		"ramping": {but(func(m *observe.Manager) {
			m.Parked = 70
			m.Changes["database"] = observe.Change{Change: breaker.Change{From: breaker.HalfOpen, To: breaker.Closed, Reason: breaker.ReasonRecovered, At: at.Add(-5 * time.Second)}}
		}), "recovering", "Recovering", []string{"step by step", "70 calls still wait."}},
		"held open": {but(func(m *observe.Manager) {
			opened(m, time.Second)
			hold(m, breaker.HeldOpen, "disk is replaced")
			m.Parked = 9
		}), "held", "Held", []string{"no call passes", "Since 14:02:13 UTC : “disk is replaced”", "9 calls wait until then.", "perdure breakers release database"}},
		"held closed": {but(func(m *observe.Manager) { hold(m, breaker.HeldClosed, "drill") }), "held", "Held", []string{"every call passes", "“drill”"}},
		"an operation held": {but(func(m *observe.Manager) {
			m.Operations[0].Breaker.Held = breaker.HeldClosed
		}), "held", "Held", []string{"a person holds features.load", "perdure breakers release features.load"}},
		"an operation's breaker open": {but(func(m *observe.Manager) {
			m.Operations[0].Breaker.State = breaker.Open
		}), "degraded", "Degraded", []string{"The database answers, but features.load fails", "its own breaker is open"}},
		"two of them": {but(func(m *observe.Manager) {
			m.Operations[0].Breaker.State, m.Operations[1].Breaker.State = breaker.Open, breaker.HalfOpen
		}), "degraded", "Degraded", []string{"features.load and orders.claim fail"}},
		"budget spent": {but(func(m *observe.Manager) {
			m.BudgetRefused, m.Rates.Failed = at.Add(-3*time.Second), 300
		}), "degraded", "Degraded", []string{"Too much fails for repeats to help", "at 14:02:20 UTC a repeat was refused", "24 % of the calls"}},
		"calls fail": {but(func(m *observe.Manager) { m.Rates.Failed = 100 }), "degraded", "Degraded", []string{"but calls fail", "8 % of the calls"}},
		"calls failed while it was away": {but(func(m *observe.Manager) {
			m.Rates.Failed, m.BudgetRefused = 600, at.Add(-4*time.Second)
			m.Changes["database"] = observe.Change{Change: breaker.Change{From: breaker.HalfOpen, To: breaker.Closed, Reason: breaker.ReasonRecovered, At: at.Add(-5 * time.Second)}}
		}), "healthy", "Healthy", nil},
		"calls fail though it is back": {but(func(m *observe.Manager) {
			m.Rates.Failed = 600
			m.Changes["database"] = observe.Change{Change: breaker.Change{From: breaker.HalfOpen, To: breaker.Closed, Reason: breaker.ReasonRecovered, At: at.Add(-15 * time.Second)}}
		}), "degraded", "Degraded", nil},
		"few calls fail": {but(func(m *observe.Manager) { m.Rates.Failed = 10 }), "healthy", "Healthy", nil},
		"unknown commit": {but(func(m *observe.Manager) { unknown(m, 1) }), "unknown", "Check commits", []string{
			"It cannot be known whether a commit happened", "look whether its work is there", "Commits of unknown outcome", "id-0",
		}},
		"an old unknown commit": {but(func(m *observe.Manager) {
			unknown(m, 1)
			m.Unknown[0].At = at.Add(-2 * time.Hour)
		}), "healthy", "Healthy", []string{"Commits of unknown outcome", "id-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := render(t, view(c.m))
			d.sound()
			banner := d.one("div", "banner")
			if !strings.HasSuffix(attr(banner, "class"), " "+c.class) {
				t.Errorf("the banner is %q, want %s", attr(banner, "class"), c.class)
			}
			if word := said(d.one("b", "word")); word != c.word {
				t.Errorf("the state word is %q, want %q", word, c.word)
			}
			if shape := attr(under(banner, "use", "")[0], "href"); shape != "#i-"+c.class {
				t.Errorf("the shape is %s, want that of %s", shape, c.class)
			}
			page := said(d.one("main", ""))
			for _, want := range c.says {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %q; the banner says: %s", want, said(banner))
				}
			}
			if title := said(d.one("title", "")); title != c.word+" · warehouse · perdure" {
				t.Errorf("title = %q", title)
			}
			spoken := view(c.m).Spoken()
			if !strings.HasPrefix(spoken, "warehouse: "+c.word+". ") {
				t.Errorf("a screen reader hears %q", spoken)
			}
		})
	}
}

func hold(m *observe.Manager, h breaker.Held, reason string) {
	m.Database.Held, m.Database.Reason = h, reason
	m.Changes["database"] = observe.Change{Change: breaker.Change{To: m.Database.State, Held: h, Reason: reason, At: at.Add(-10 * time.Second)}}
}

func unknown(m *observe.Manager, n int) {
	m.Outcomes = []perdure.OutcomeCount{
		{Resolution: perdure.Committed, Method: "marker", Count: 41},
		{Resolution: perdure.Aborted, Method: "marker", Count: 17},
		{Resolution: perdure.Undecided, Method: "token", Count: uint64(n)},
	}
	for i := range n {
		m.Unknown = append(m.Unknown, observe.Event{At: at.Add(-time.Minute), Operation: "orders.claim", CorrelationID: fmt.Sprintf("id-%d", i)})
	}
}

// TestBreakersShowTheirEvidence: a row for the database and for each operation in trouble; the rest is folded.
func TestBreakersShowTheirEvidence(t *testing.T) {
	m := but(func(m *observe.Manager) {
		b := m.Operations[1].Breaker
		b.State, b.Score, b.Reason, b.NextProbe = breaker.Open, 70, breaker.ReasonThreshold, at.Add(2*time.Second)
		m.Changes["orders.claim"] = observe.Change{Change: breaker.Change{To: breaker.Open}, Since: at.Add(-4 * time.Second)}
		m.Database.Score = 20
		for i := range 60 {
			m.Operations = append(m.Operations, perdure.OperationSnapshot{Name: fmt.Sprintf("op-%02d", i), Breaker: &breaker.Snapshot{Threshold: 65}})
		}
	})
	d := render(t, view(m))
	d.sound()
	tables := d.all("table", "breakers")
	if len(tables) != 2 {
		t.Fatalf("%d tables of breakers, want those in trouble and the folded ones", len(tables))
	}
	var rows []string
	for _, r := range under(under(tables[0], "tbody", "")[0], "tr", "") {
		rows = append(rows, said(r))
	}
	want := []string{
		"The database Closed calls pass no change 20.0 of 65.0 1.6 %",
		"orders.claim Open no call passes since 14:02:19 UTC , threshold crossed; next probe in 2.0 s 70.0 of 65.0 0.2 %",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}
	fill := under(under(tables[0], "svg", "meter")[0], "rect", "fill")[0]
	if attr(fill, "width") != "30.8" {
		t.Errorf("the meter is %s %% full, want 30.8", attr(fill, "width"))
	}
	if page := said(d.one("main", "")); !strings.Contains(page, "40 and 21 more, all closed") {
		t.Errorf("the page does not say how many breakers are folded")
	}
	ops := d.one("table", "operations")
	if n := len(under(under(ops, "tbody", "")[0], "tr", "")); n != 40 {
		t.Errorf("%d operations are listed, want 40", n)
	}
	if first := said(under(under(ops, "tbody", "")[0], "tr", "")[0]); !strings.HasPrefix(first, "orders.claim Open 617") {
		t.Errorf("the first operation is %q, want the one in trouble", first)
	}
}

func TestFiguresHaveUnits(t *testing.T) {
	m := but(func(m *observe.Manager) { unknown(m, 1); m.Parked = 123456 })
	d := render(t, view(m))
	var got []string
	for _, c := range d.all("li", "card") {
		got = append(got, said(c))
	}
	want := []string{
		"Calls 1.2 k /s 2,000 succeeded in all",
		"Failed calls 0 /s none in the last 10 s",
		"Repeats 0 /s no call needed one yet",
		"Duration, p99 12 ms half of them at most 800 µs",
		"Waiting calls 123 k go on by themselves",
		"Retry budget 100 % left never spent",
		"Commits in doubt 59 41 committed 17 not committed 1 unknown",
		"Connections 3 of 10 in use 4 idle",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotThereIsExplained(t *testing.T) {
	empty := render(t, view())
	empty.sound()
	if page := said(empty.one("main", "")); !strings.Contains(page, "No database is watched") || !strings.Contains(page, "Nothing yet.") {
		t.Errorf("an empty page says %q", page)
	}
	idle := but(func(m *observe.Manager) { m.Operations, m.History, m.Pool = nil, nil, nil })
	page := said(render(t, view(idle)).one("main", ""))
	for _, want := range []string{"None yet. An operation appears here with its first call", "no pool is watched"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
}

func TestSeveralDatabasesHaveASectionEach(t *testing.T) {
	other := but(func(m *observe.Manager) { m.Name = "ledger"; opened(m, time.Second) })
	v := view(well(), other)
	d := render(t, v)
	d.sound()
	if n := len(d.all("section", "db")); n != 2 {
		t.Errorf("%d sections, want 2", n)
	}
	all := d.one("section", "all")
	if got := said(all); got != "ledger does not answer ledger Down warehouse Healthy" {
		t.Errorf("all databases: %q", got)
	}
	held := view(well(), but(func(m *observe.Manager) { m.Name = "ledger"; hold(m, breaker.HeldClosed, "drill") }))
	if page := said(render(t, held).one("main", "")); !strings.Contains(page, "perdure breakers release database --manager ledger") {
		t.Error("the command that releases does not say whose breaker")
	}
	if v.Level != dashboard.Down || v.Icon() != "bad" || v.Title() != "Down · perdure" {
		t.Errorf("the page is %s, icon %s, title %q; want that of the worst", v.Level.Word(), v.Icon(), v.Title())
	}
	for _, c := range []struct {
		change func(m *observe.Manager)
		want   string
	}{
		{func(*observe.Manager) {}, "All is well with all databases"},
		{func(m *observe.Manager) { opened(m, time.Second) }, "a and b do not answer"},
		{func(m *observe.Manager) { m.Rates.Failed = 900 }, "Calls of a and b suffer"},
		{func(m *observe.Manager) { hold(m, breaker.HeldClosed, "drill") }, "a and b are held by a person"},
		{func(m *observe.Manager) { unknown(m, 1) }, "Commits of a and b must be looked at"},
		{func(m *observe.Manager) { opened(m, time.Second); m.Database.State = breaker.HalfOpen }, "a and b are recovering"},
	} {
		a, b := but(c.change), but(c.change)
		a.Name, b.Name = "a", "b"
		if got := view(a, b).Headline; got != c.want {
			t.Errorf("headline = %q, want %q", got, c.want)
		}
	}
}

// TestDataIsEscaped: whatever gets into a name, a reason or an ID stays text.
func TestDataIsEscaped(t *testing.T) {
	const bad = `"><script>alert(1)</script><img src=x onerror=alert(1)>'&`
	m := but(func(m *observe.Manager) {
		m.Name = bad
		opened(m, time.Second)
		hold(m, breaker.HeldOpen, bad)
		m.Probe.Error = bad
		unknown(m, 1)
		m.Unknown[0].CorrelationID, m.Unknown[0].Operation = bad, bad
		m.Operations[0].Name = bad
		m.Operations[0].Breaker.State, m.Operations[0].Breaker.Reason = breaker.Open, bad
	})
	events := []observe.Story{{Event: observe.Event{ID: 5, Operation: bad, Text: bad, Severity: bad, Manager: bad}, From: at, To: at}}
	v := dashboard.Build([]observe.Manager{m}, events, 5, at, bad)
	d := render(t, v)
	d.policy()
	if n := len(d.all("script", "")) + len(d.all("img", "")); n != 1 {
		t.Errorf("%d scripts and images, want the page's own script alone", n)
	}
	if n := strings.Count(said(d.Node), "<script>alert(1)</script>"); n < 8 {
		t.Errorf("the text is there %d times, want at least 8: it was lost, not escaped", n)
	}
}

func TestRenderingIsPure(t *testing.T) {
	var a, b bytes.Buffer
	v := view(well())
	if err := v.Render(&a); err != nil {
		t.Fatal(err)
	}
	if err := v.Render(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same view makes other bytes")
	}
	if n := a.Len(); n > 40_000 {
		t.Errorf("a page of %d bytes, want at most 40,000", n)
	}
}
