package dashboard_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/perdure/perdure/perdurepgx"
)

// TestThePageInARealBrowser shows each state of a real database that is killed,
// held, overloaded and made to lose a commit, to a real Chromium. PERDURE_SCREENSHOTS
// names a directory for the pictures.
func TestThePageInARealBrowser(t *testing.T) {
	s := openShop(t, 1, perdurepgx.Token)
	b := openTab(t, s.url)

	b.is("healthy")
	b.until("document.querySelectorAll('table.operations tbody tr').length === 5 && document.querySelector('#fresh.live') !== null")
	b.audit("healthy")
	b.keyboard()

	undisturbed := b.disturb()
	if err := s.cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	b.is("down")
	b.until("/[1-9][0-9]* calls? waits? and will go on/.test(document.querySelector('.banner').innerText)")
	undisturbed()
	b.until("[...document.querySelectorAll('#event-list li.critical')].some(e => e.innerText.includes('The database does not answer'))")
	for _, want := range []string{"probes failed", "Next probe", "Nothing is lost.", "What to do"} {
		b.says(".banner", want)
	}
	b.says("#spoken", "warehouse: Down. The database does not answer.")
	if title := eval[string](b, "document.title"); title != "Down · warehouse · perdure" {
		t.Errorf("title = %q", title)
	}
	if icon := eval[string](b, "document.getElementById('favicon').href"); !strings.Contains(icon, "icon-bad.svg") {
		t.Errorf("the tab's icon is %s", icon)
	}
	b.audit("down")

	if err := s.cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.is("recovering")
	b.picture("recovering")
	b.is("healthy")
	b.says(".banner", "It was last away until")

	s.manager.Breaker("database").HoldOpen("disk is replaced (ticket 4711)")
	b.is("held")
	b.says(".state.away", "Closed") // an operation's own breaker says nothing of what passes now
	b.says(".banner", "disk is replaced (ticket 4711)")
	b.says("table.breakers tbody tr", "Held open")
	b.audit("held")
	s.manager.Breaker("database").Release()
	b.is("healthy")

	var storm sync.WaitGroup
	storm.Go(func() { s.storm(t.Context()) })
	b.is("degraded")
	b.says(".banner", "retry budget is spent")
	b.audit("budget-spent")
	storm.Wait()

	s.loseACommit(t)
	b.is("unknown")
	b.until("document.querySelector('.loud tbody tr code') !== null")
	b.says(".loud", "orders.claim")
	b.audit("unknown")

	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	if d := eval[string](b, "getComputedStyle(document.querySelector('nav')).display"); d != "none" {
		t.Errorf("on paper the navigation is %s", d)
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	b.do(chromedp.Navigate(s.url + "/runs"))
	b.until("document.querySelector('#fresh.live') !== null")
	b.says("main", "No pipeline has run in this process")
	b.do(chromedp.Navigate(s.url + "/"))
	b.until("document.querySelector('#fresh.live') !== null")
	b.quiet(s.url)

	// Whoever looks at a page of a process that is gone must not believe it.
	s.close()
	b.until("!document.getElementById('stale').hidden")
	b.says("#stale", "what is shown is old")
	b.picture("stale")
}

// says checks that an element has a text.
func (b *tab) says(selector, want string) {
	b.t.Helper()
	got := eval[string](b, "[...document.querySelectorAll('"+selector+"')].map(e => e.textContent.replace(/\\s+/g, ' ')).join(' ')")
	if !strings.Contains(got, want) {
		b.t.Errorf("%s says %q, want %q", selector, got, want)
	}
}

// disturb works in the page: it opens what is folded, puts the focus there,
// selects a text that changes, and scrolls. undisturbed checks that the page has
// renewed itself and left all that as it was.
func (b *tab) disturb() (undisturbed func()) {
	b.t.Helper()
	b.size(1100, 500)
	eval[bool](b, `(() => {
		const folded = document.querySelector("details");
		folded.open = true;
		folded.querySelector("summary").focus();
		scrollTo(0, 300);
		getSelection().selectAllChildren(document.querySelector(".card .value"));
		document.body.dataset.was = getSelection().toString();
		return true;
	})()`)
	was := eval[float64](b, "scrollY")
	return func() {
		b.t.Helper()
		b.until("document.querySelector('#fresh.live') !== null")
		for what, js := range map[string]string{
			"the fold is open":         "document.querySelector('details').open",
			"the focus is on its head": "document.activeElement === document.querySelector('details summary')",
			"the selection stays":      "getSelection().toString() === document.body.dataset.was && document.body.dataset.was !== ''",
		} {
			if !eval[bool](b, js) {
				b.t.Errorf("after the page has renewed itself it is not so that %s", what)
			}
		}
		if now := eval[float64](b, "scrollY"); now < was-1 {
			b.t.Errorf("the page has scrolled from %v to %v", was, now)
		}
		eval[bool](b, "getSelection().removeAllRanges() === undefined")
		b.size(1440, 1000)
		eval[bool](b, "scrollTo(0, 0) === undefined")
	}
}

// keyboard walks through the page with the tab key.
func (b *tab) keyboard() {
	b.t.Helper()
	want := eval[int](b, `[...document.querySelectorAll("a[href], summary, [tabindex='0']")].filter(e => e.checkVisibility()).length`)
	var walked []string
	for range want {
		b.do(chromedp.KeyEvent(kb.Tab))
		walked = append(walked, eval[string](b, `(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			const seen = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
			return (seen ? "" : "INVISIBLE ") + e.nodeName + " " + (e.getAttribute("aria-label") || e.textContent.trim()).slice(0, 40);
		})()`))
	}
	seen := map[string]bool{}
	for _, w := range walked {
		if strings.HasPrefix(w, "INVISIBLE") || strings.HasPrefix(w, "BODY") || seen[w] {
			b.t.Errorf("the keyboard reaches %q", w)
		}
		seen[w] = true
	}
	if walked[0] != "A Skip to the content" || len(seen) != want {
		b.t.Errorf("the keyboard walks %q, want the skip link first and %d places", walked, want)
	}
}
