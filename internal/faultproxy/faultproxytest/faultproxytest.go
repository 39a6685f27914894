// Package faultproxytest gives tests a running fault proxy.
package faultproxytest

import (
	"context"
	"net/url"
	"testing"

	"github.com/perdure/perdure/internal/faultproxy"
)

// New runs a proxy for one test; it is closed at the test's end.
func New(tb testing.TB, cfg faultproxy.Config) *faultproxy.Proxy {
	tb.Helper()
	p, err := faultproxy.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(context.WithoutCancel(tb.Context())) }()
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("closing the proxy: %v", err)
		}
		if err := <-ended; err != nil {
			tb.Errorf("the proxy ended with: %v", err)
		}
	})
	return p
}

// Before runs a proxy in front of the server of a connection URL and returns it
// with the URL that leads through it.
func Before(tb testing.TB, serverURL string, cfg faultproxy.Config) (p *faultproxy.Proxy, throughURL string) {
	tb.Helper()
	u, err := url.Parse(serverURL)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Target = u.Host
	p = New(tb, cfg)
	u.Host = p.Addr()
	return p, u.String()
}

// Add puts a rule in force.
func Add(tb testing.TB, p *faultproxy.Proxy, r faultproxy.Rule) *faultproxy.RuleHandle {
	tb.Helper()
	h, err := p.Add(r)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}
