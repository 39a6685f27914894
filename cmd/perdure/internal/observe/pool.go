package observe

import "time"

// Pool is the state of a pool of connections at one moment.
type Pool struct {
	Acquired, Idle, Connecting, Max int32
	// Waits counts the callers that had to wait for a connection, Waited how long they did in all.
	Waits  int64
	Waited time.Duration
}

// PoolStat is what a pool tells about itself. A *pgxpool.Stat is one.
type PoolStat interface {
	AcquiredConns() int32
	IdleConns() int32
	ConstructingConns() int32
	MaxConns() int32
	EmptyAcquireCount() int64
	EmptyAcquireWaitTime() time.Duration
}

// PoolOf makes a Source.Pool of the Stat method of a *pgxpool.Pool:
//
//	observe.Source{Manager: m, Pool: observe.PoolOf(db.Pool().Stat)}
func PoolOf[S PoolStat](stat func() S) func() Pool {
	return func() Pool {
		s := stat()
		return Pool{
			Acquired: s.AcquiredConns(), Idle: s.IdleConns(), Connecting: s.ConstructingConns(), Max: s.MaxConns(),
			Waits: s.EmptyAcquireCount(), Waited: s.EmptyAcquireWaitTime(),
		}
	}
}
