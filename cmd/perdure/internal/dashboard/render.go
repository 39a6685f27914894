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
	Page     string // "overview" or "runs"
	Runs     Runs   // of "runs"
	Fragment string // the address of the content alone
	version  string // of the assets
}

// Title is that of the overview, or of the runs.
func (p page) Title() string {
	if p.Page == pageRuns {
		return p.Runs.Title()
	}
	return p.View.Title()
}

// Spoken is what a screen reader is told when it changes.
func (p page) Spoken() string {
	if p.Page == pageRuns {
		return p.Runs.Spoken()
	}
	return p.View.Spoken()
}

// The pages.
const (
	pageOverview = "overview"
	pageRuns     = "runs"
)

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
func (r *renderer) page(w io.Writer, p page) error {
	p.version = r.assets
	return r.pages.ExecuteTemplate(w, "page", p)
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
	return r.page(w, page{View: v, Page: pageOverview, Fragment: "fragment"})
}

// RenderRuns writes the page of runs. It is pure as Render is.
func (v View) RenderRuns(w io.Writer, runs Runs) error {
	a, err := newAssets()
	if err != nil {
		return err
	}
	r, err := newRenderer(a.version)
	if err != nil {
		return err
	}
	return r.page(w, page{View: v, Page: pageRuns, Runs: runs, Fragment: "fragment?page=runs"})
}

// fragment is what a page fetches to renew itself.
type fragment struct {
	Title  string    `json:"title"`
	Icon   string    `json:"icon"`
	Spoken string    `json:"spoken"`
	At     time.Time `json:"at"`
	Main   string    `json:"main"` // HTML of the content
}

func (r *renderer) fragment(p page) (fragment, error) {
	var b bytes.Buffer
	if err := r.pages.ExecuteTemplate(&b, p.Page, p); err != nil {
		return fragment{}, err
	}
	return fragment{Title: p.Title(), Icon: "assets/icon-" + p.Icon() + ".svg?v=" + r.assets, Spoken: p.Spoken(), At: p.At, Main: b.String()}, nil
}
