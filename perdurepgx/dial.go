package perdurepgx

import (
	"context"
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
	return pgconn.ConnectConfig(ctx, &c.Config)
}
