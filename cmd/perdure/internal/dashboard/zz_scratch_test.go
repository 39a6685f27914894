package dashboard_test

import (
	"testing"
	"time"
)

func TestScratch(t *testing.T) {
	s := openShop(t, 2)
	time.Sleep(20 * time.Second)
	b := openTab(t, s.url)
	b.is("healthy")
	b.picture("s1-healthy")
	if err := s.cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	b.is("down")
	time.Sleep(6 * time.Second)
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
	b.picture("s6-healthy")
	b.quiet(s.url)
}
