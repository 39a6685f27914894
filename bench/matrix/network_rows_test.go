package matrix

import (
	"time"

	"github.com/perdure/perdure/internal/faultproxy"
	"github.com/perdure/perdure/pgerr"
)

const groupNetwork = "The network"

func insertMessage() faultproxy.Match {
	return faultproxy.Match{Message: faultproxy.Run, Text: faultproxy.HasPrefix("insert into effect")}
}

func networkRows() []row {
	return []row{
		{
			name: "reset", group: groupNetwork, title: "every connection is reset",
			strike: func(p *place) (func(), func() bool) {
				redialled := p.redialled()
				p.proxy.CutAll(faultproxy.RST)
				return nil, redialled
			},
			want: expectation{statements: true, database: no},
		},
		{
			name: "reset-in-flight", group: groupNetwork, title: "connections are reset when an INSERT has been sent",
			strike: cutting(faultproxy.Rule{Match: insertMessage(), When: faultproxy.After, Action: faultproxy.RST}),
			want:   expectation{categories: []pgerr.Category{pgerr.CategoryConnection}, statements: true, database: no},
		},
		{
			name: "half-open", group: groupNetwork, title: "half-open TCP: connections lead nowhere, and nobody says so",
			strike: cutting(faultproxy.Rule{Match: insertMessage(), Action: faultproxy.BlackHole}),
			want:   expectation{categories: []pgerr.Category{pgerr.CategoryTimeout, pgerr.CategoryConnection}, statements: true, database: no},
			slow:   true,
		},
		{
			name: "black-hole", group: groupNetwork, title: "the network swallows everything for 3 s, new connections included", hold: 3 * time.Second,
			strike: func(p *place) (func(), func() bool) {
				running := p.rule(faultproxy.Rule{Name: "running", Match: faultproxy.Match{Message: faultproxy.Run}, Action: faultproxy.BlackHole})
				parsing := p.rule(faultproxy.Rule{Name: "parsing", Match: faultproxy.Match{Message: faultproxy.Parse}, Action: faultproxy.BlackHole})
				starting := p.rule(faultproxy.Rule{Name: "starting", Match: faultproxy.Match{Message: faultproxy.Startup}, Action: faultproxy.BlackHole})
				return func() { running.Remove(); parsing.Remove(); starting.Remove() }, func() bool { return running.Hits()+parsing.Hits() > 0 }
			},
			want: expectation{categories: away(), statements: true, database: yes}, slow: true,
		},
		{
			name: "slow-link", group: groupNetwork, title: "every reply takes 100 ms more, for 2 s", hold: 2 * time.Second,
			strike: func(p *place) (func(), func() bool) {
				h := p.rule(faultproxy.Rule{Name: "slow", Match: faultproxy.Match{Message: faultproxy.CommandComplete}, Action: faultproxy.Delay, Delay: 100 * time.Millisecond})
				return h.Remove, func() bool { return h.Hits() > callers }
			},
			want: expectation{database: no},
		},
		{
			name: "dns", group: groupNetwork, title: "the name server fails for a second, and connections are reset", hold: outage, dns: true,
			strike: func(p *place) (func(), func() bool) {
				p.names.failing.Store(true)
				p.proxy.CutAll(faultproxy.RST)
				return func() { p.names.failing.Store(false) }, func() bool { return p.names.refused.Load() > 0 }
			},
			want: expectation{categories: []pgerr.Category{pgerr.CategoryConnection}, statements: true},
		},
	}
}
