package perdurepgx

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// dialOwn connects beside the pool, as the pool would: for the prober and the
// resolver, which must not wait for a connection that others hold.
func (db *DB) dialOwn(ctx context.Context, limit time.Duration) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := db.base.ConnConfig.Copy()
	if before := db.base.BeforeConnect; before != nil {
		if err := before(ctx, c); err != nil {
			return nil, err
		}
	}
	// A CancelRequest would end the resolver's own wait for the standbys.
	var up atomic.Bool
	dial := c.DialFunc
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if up.Load() {
			return nil, errNoCancel
		}
		return dial(ctx, network, addr)
	}
	w := &wire{}
	notice := c.OnNotice
	c.OnNotice = func(pc *pgconn.PgConn, n *pgconn.Notice) {
		w.sawNotice(n)
		if notice != nil {
			notice(pc, n)
		}
	}
	pc, err := pgconn.ConnectConfig(ctx, &c.Config)
	if err != nil {
		return nil, err
	}
	pc.CustomData()[wireKey] = w
	up.Store(true)
	return pc, nil
}
