package faultproxy_test

import (
	"testing"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/internal/faultproxy/faultproxytest"
)

// BenchmarkRoundTrip compares one short query on the server itself and through a proxy.
func BenchmarkRoundTrip(b *testing.B) {
	direct := server.Schema(b)
	_, plain := faultproxytest.Before(b, direct, faultproxy.Config{})
	ruled, withRules := faultproxytest.Before(b, direct, faultproxy.Config{})
	for _, m := range []faultproxy.Match{commitSent, commitReply} {
		faultproxytest.Add(b, ruled, faultproxy.Rule{Name: "never", Match: m, Action: faultproxy.RST})
	}
	for _, bc := range []struct{ name, url string }{{"direct", direct}, {"proxy", plain}, {"proxy with two rules", withRules}} {
		b.Run(bc.name, func(b *testing.B) {
			conn := connect(b, bc.url)
			for b.Loop() {
				exec(b, conn, "select 1")
			}
		})
	}
}

// BenchmarkRows compares the throughput of a large result.
func BenchmarkRows(b *testing.B) {
	direct := server.Schema(b)
	_, plain := faultproxytest.Before(b, direct, faultproxy.Config{})
	for _, bc := range []struct{ name, url string }{{"direct", direct}, {"proxy", plain}} {
		b.Run(bc.name, func(b *testing.B) {
			conn := connect(b, bc.url)
			b.SetBytes(100_000 * (7 + 20))
			for b.Loop() {
				exec(b, conn, "select repeat('x', 16) from generate_series(1, 100000)")
			}
		})
	}
}
