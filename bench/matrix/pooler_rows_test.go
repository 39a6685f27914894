package matrix

import (
	"github.com/perdure/perdure"
	"github.com/perdure/perdure/internal/faultproxy"
)

const groupPooler = "Behind PgBouncer, transaction mode"

func poolerRows() []row {
	return []row{
		{
			name: "pgbouncer-commit-reply-lost", group: groupPooler, title: "the connection ends after COMMIT, before its reply", pooler: true,
			strike: cutting(faultproxy.Rule{Match: commitReply(), Action: faultproxy.FIN}),
			want:   expectation{outcomes: []perdure.Resolution{perdure.Committed}, database: no},
		},
		{
			name: "pgbouncer-restart", group: groupPooler, title: "the server restarts behind it", pooler: true,
			strike: func(p *place) (func(), func() bool) {
				felt, redialled := p.felt(), p.redialled()
				p.ended(p.cluster.Restart(p.bounded()))
				return nil, func() bool { return felt() || redialled() }
			},
			want: expectation{statements: true},
		},
		{
			name: "pgbouncer-kill", group: groupPooler, title: "kill -9 of PgBouncer, a second away", pooler: true, hold: outage,
			strike: func(p *place) (func(), func() bool) {
				felt := p.felt()
				p.ended(p.bouncer.Kill())
				return func() { p.ended(p.bouncer.Start(p.bounded())) }, felt
			},
			want: expectation{categories: away(), statements: true, database: yes},
		},
	}
}
