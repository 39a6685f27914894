package dashboard_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromiumMissing says what to install: the test never skips.
const chromiumMissing = "Chromium is missing: run scripts/setup.sh, or install it (Debian: apt-get install chromium; " +
	"macOS: brew install --cask chromium), or set PERDURE_CHROMIUM to its program"

func chromium(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"}
	if own := os.Getenv("PERDURE_CHROMIUM"); own != "" {
		names = []string{own}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal(chromiumMissing)
	return ""
}

// tab is a page in a real browser, and all it complained about.
type tab struct {
	ctx context.Context
	t   *testing.T
	dir string // for pictures

	mu         sync.Mutex // guards the fields below
	complaints []string
	addresses  []string
}

// openTab starts a browser that asks nobody for anything.
func openTab(t *testing.T, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewExecAllocator(
		t.Context(),
		chromedp.ExecPath(chromium(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-extensions", true),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	t.Cleanup(cancel)
	b := &tab{t: t, dir: t.TempDir()}
	if dir := os.Getenv("PERDURE_SCREENSHOTS"); dir != "" {
		b.dir = dir
	}
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	b.ctx = ctx
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	call(b, cdplog.Enable, cdp.Empty{})
	b.size(1440, 1000)
	b.do(chromedp.Navigate(url))
	return b
}

// hear notes what the browser says while the page runs.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.complaints = append(b.complaints, fmt.Sprintf("console: %s", e.Type))
		}
	case *cdplog.EventEntryAdded: // violations of the Content-Security-Policy are among them
		b.complaints = append(b.complaints, string(e.Entry.Level)+": "+e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		b.addresses = append(b.addresses, e.Request.URL)
	}
}

// quiet fails the test if the page complained, or asked anybody but its own server.
func (b *tab) quiet(url string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
	for _, a := range b.addresses {
		if !strings.HasPrefix(a, url+"/") && !strings.HasPrefix(a, "data:") {
			b.t.Errorf("the page asked %s", a)
		}
	}
	if len(b.addresses) < 4 {
		b.t.Errorf("the page asked for %q: want itself, its style, script and fragments", b.addresses)
	}
	b.complaints, b.addresses = nil, nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// call runs a command of the protocol.
func call[P, R any](b *tab, cmd cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, cmd, params); err != nil {
		b.t.Fatal(err)
	}
}

// eval runs JavaScript in the page.
func eval[T any](b *tab, js string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits until JavaScript finds it true.
func (b *tab) until(js string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](js, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0))); err != nil {
		b.picture("failed")
		b.t.Fatalf("waiting for %s: %v; the page says: %s", js, err, eval[string](b, "document.getElementById('main').innerText.slice(0, 600)"))
	}
}

// is waits until the page shows a state.
func (b *tab) is(class string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector('.banner.%s') !== null", class))
}

func (b *tab) size(width, height int64) { b.do(chromedp.EmulateViewport(width, height)) }

func (b *tab) scheme(name string) {
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

// picture writes what the window shows, for people.
func (b *tab) picture(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// whole is a picture of the whole page.
func (b *tab) whole(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
