package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed pages/*.html
var pages embed.FS

// page is what the layout is filled with.
type page struct {
	View
	Page    string // "overview" or "runs"
	version string // of the assets
}

// Asset is the address of an embedded file; it changes with the content, so
// that browsers may keep it for ever.
func (p page) Asset(name string) string { return "assets/" + name + "?v=" + p.version }

// Icon is the icon of the tab.
func (v View) Icon() string {
	switch v.Level {
	case Idle:
		return "idle"
	case Healthy:
		return "ok"
	case Recovering, Degraded, Held:
		return "warn"
	case Unknown, Down:
	}
	return "bad"
}

// renderer holds the parsed pages. It is safe for concurrent use.
type renderer struct {
	pages  *template.Template
	assets string // their version
}

func newRenderer(assets string) (*renderer, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"iso":   iso,
		"clock": clock,
	}).ParseFS(pages, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	return &renderer{pages: t, assets: assets}, nil
}

// page renders a whole page.
func (r *renderer) page(w io.Writer, v View, name string) error {
	if name == "runs" {
		v.Level = max(v.Level, Idle)
	}
	return r.pages.ExecuteTemplate(w, "page", page{View: v, Page: name, version: r.assets})
}

// Render writes the overview as a whole page of HTML. It is pure: the same view
// makes the same bytes.
func (v View) Render(w io.Writer) error {
	a, err := newAssets()
	if err != nil {
		return err
	}
	r, err := newRenderer(a.version)
	if err != nil {
		return err
	}
	return r.page(w, v, "overview")
}

// fragment is what a page fetches to renew itself.
type fragment struct {
	Title  string    `json:"title"`
	Icon   string    `json:"icon"`
	Spoken string    `json:"spoken"`
	At     time.Time `json:"at"`
	Main   string    `json:"main"` // HTML of the content
}

func (r *renderer) fragment(v View) (fragment, error) {
	var b bytes.Buffer
	if err := r.pages.ExecuteTemplate(&b, "overview", v); err != nil {
		return fragment{}, err
	}
	return fragment{Title: v.Title(), Icon: "assets/icon-" + v.Icon() + ".svg?v=" + r.assets, Spoken: v.Spoken(), At: v.At, Main: b.String()}, nil
}
