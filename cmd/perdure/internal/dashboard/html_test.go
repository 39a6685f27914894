package dashboard_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/perdure/perdure/cmd/perdure/internal/dashboard"
)

// doc is a parsed page.
type doc struct {
	*html.Node

	t *testing.T
}

func parse(t *testing.T, r io.Reader) doc {
	t.Helper()
	n, err := html.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	return doc{n, t}
}

func render(t *testing.T, v dashboard.View) doc {
	t.Helper()
	var b bytes.Buffer
	if err := v.Render(&b); err != nil {
		t.Fatal(err)
	}
	return parse(t, &b)
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// all returns the elements of a name that have a class, or of any if it is "".
func (d doc) all(name, class string) []*html.Node { return under(d.Node, name, class) }

func under(root *html.Node, name, class string) (out []*html.Node) {
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || name != "" && n.Data != name {
			continue
		}
		if class == "" || slices.Contains(strings.Fields(attr(n, "class")), class) {
			out = append(out, n)
		}
	}
	return out
}

// said is the text of an element as a person reads it.
func said(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
			b.WriteString(" ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// one returns the only element of its kind.
func (d doc) one(name, class string) *html.Node {
	d.t.Helper()
	found := d.all(name, class)
	if len(found) != 1 {
		d.t.Fatalf("%d elements %s.%s, want one", len(found), name, class)
	}
	return found[0]
}

// sound checks what must hold for every page, in whatever state.
func (d doc) sound() {
	d.t.Helper()
	d.landmarks()
	d.headings()
	d.references()
	d.policy()
	d.tables()
	d.drawings()
}

func (d doc) landmarks() {
	d.t.Helper()
	for _, name := range []string{"header", "nav", "main", "footer", "title"} {
		if n := len(d.all(name, "")); n != 1 {
			d.t.Errorf("%d elements %s, want one", n, name)
		}
	}
	if lang := attr(d.one("html", ""), "lang"); lang != "en" {
		d.t.Errorf("lang = %q", lang)
	}
	if d.one("nav", ""); attr(d.one("nav", ""), "aria-label") == "" {
		d.t.Error("the navigation has no label")
	}
	if first := d.all("a", "")[0]; attr(first, "href") != "#main" {
		d.t.Errorf("the first link leads to %s, want the content", attr(first, "href"))
	}
	if len(slices.DeleteFunc(d.all("", ""), func(n *html.Node) bool { return attr(n, "role") != "status" })) != 1 {
		d.t.Error("want one live region")
	}
}

// headings checks that there is one h1 and that no level is left out.
func (d doc) headings() {
	d.t.Helper()
	level := 0
	for _, n := range d.all("", "") {
		if len(n.Data) != 2 || n.Data[0] != 'h' || n.Data[1] < '1' || n.Data[1] > '6' {
			continue
		}
		now := int(n.Data[1] - '0')
		if level == 0 && now != 1 || now > level+1 || level > 0 && now == 1 {
			d.t.Errorf("%s %q comes after h%d", n.Data, said(n), level)
		}
		if said(n) == "" {
			d.t.Errorf("an empty %s", n.Data)
		}
		level = now
	}
}

// references checks that ids are unique, and that whatever names one finds it.
func (d doc) references() {
	d.t.Helper()
	ids := map[string]bool{}
	for _, n := range d.all("", "") {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				d.t.Errorf("two elements have the id %q", id)
			}
			ids[id] = true
		}
	}
	for _, n := range d.all("", "") {
		for _, key := range []string{"aria-labelledby", "href"} {
			target, internal := strings.CutPrefix(attr(n, key), "#")
			if (key == "aria-labelledby" && target != "" || internal) && !ids[target] {
				d.t.Errorf("%s %s = %q, which is nowhere", n.Data, key, attr(n, key))
			}
		}
	}
}

// policy checks that the page needs nothing that its Content-Security-Policy
// forbids, and nobody but its own server.
func (d doc) policy() {
	d.t.Helper()
	for _, n := range d.all("", "") {
		if n.Data == "style" || n.Data == "script" && (attr(n, "src") == "" || n.FirstChild != nil) {
			d.t.Errorf("an inline %s: %s", n.Data, said(n))
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				d.t.Errorf("%s has the attribute %s=%q", n.Data, a.Key, a.Val)
			}
			if a.Key != "href" && a.Key != "src" {
				continue
			}
			if strings.Contains(a.Val, ":") || strings.HasPrefix(a.Val, "/") {
				d.t.Errorf("%s leads to %q, want an address relative to the page", n.Data, a.Val)
			}
		}
	}
}

// tables checks that each cell has its headings, and each moment its machine-readable form.
func (d doc) tables() {
	d.t.Helper()
	for _, table := range d.all("table", "") {
		columns := 0
		for _, h := range under(under(table, "thead", "")[0], "th", "") {
			columns++
			if attr(h, "scope") != "col" || said(h) == "" {
				d.t.Errorf("column %d of a table: scope %q, heading %q", columns, attr(h, "scope"), said(h))
			}
		}
		for _, row := range under(under(table, "tbody", "")[0], "tr", "") {
			heads := under(row, "th", "")
			if len(heads) != 1 || attr(heads[0], "scope") != "row" {
				d.t.Errorf("row %q has %d headings, want one of scope row", said(row), len(heads))
			}
			if n := len(under(row, "td", "")) + len(heads); n != columns {
				d.t.Errorf("row %q has %d cells, want %d", said(row), n, columns)
			}
		}
	}
	for _, n := range d.all("time", "") {
		if attr(n, "id") == "stale-since" {
			continue // filled when needed
		}
		if _, err := time.Parse(time.RFC3339, attr(n, "datetime")); err != nil {
			d.t.Errorf("time %q: %v", said(n), err)
		}
	}
	for _, n := range d.all("", "scroll") {
		if attr(n, "tabindex") != "0" || attr(n, "role") != "region" || attr(n, "aria-label") == "" {
			d.t.Error("what scrolls cannot be reached with the keyboard, or has no name")
		}
	}
}

// drawings checks that each picture says what it shows, or is left out for those who cannot see it.
func (d doc) drawings() {
	d.t.Helper()
	for _, n := range d.all("svg", "") {
		named := attr(n, "role") == "img" && attr(n, "aria-label") != ""
		if named == (attr(n, "aria-hidden") == "true") {
			d.t.Errorf("svg.%s neither has a name nor is hidden", attr(n, "class"))
		}
		for p := range n.Descendants() {
			if strings.Contains(attr(p, "d")+attr(p, "width")+attr(p, "x"), "NaN") || strings.Contains(attr(p, "d"), "Inf") {
				d.t.Errorf("svg.%s draws %v", attr(n, "class"), p.Attr)
			}
		}
	}
}

// get asks a handler.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}
