package dashboard_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func TestScratch(t *testing.T) {
	s := openShop(t, 2)
	time.Sleep(20 * time.Second)
	b := openTab(t, s.url)
	b.is("healthy")
	b.picture("s1-healthy")
	s.manager.Breaker("database").HoldOpen("disk is replaced until 15:00 (ticket 4711)")
	b.is("held")
	time.Sleep(2 * time.Second)
	b.picture("s7-held")
	s.manager.Breaker("database").Release()
	b.is("healthy")
	go s.storm(t.Context())
	b.is("degraded")
	time.Sleep(2 * time.Second)
	b.picture("s8-budget")
	if err := s.cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	b.is("down")
	time.Sleep(4 * time.Second)
	b.picture("s2-down")
	b.scheme("dark")
	b.whole("s3-down-dark")
	b.size(360, 780)
	b.whole("s4-down-phone")
	b.size(1440, 1000)
	b.scheme("light")
	if err := s.cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.is("recovering")
	b.picture("s5-recovering")
	b.is("healthy")
	s.loseACommit(t)
	b.is("unknown")
	time.Sleep(3 * time.Second)
	b.whole("s9-unknown")
	b.do(chromedp.Navigate(s.url + "/runs"))
	b.picture("s10-runs")
	b.quiet(s.url)
}
