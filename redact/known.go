package redact

// constant reports whether s is a text that errors carry without any data. It
// is compared as a whole, so that what is printed is a text of this list,
// whoever made the error.
func constant(s string) bool {
	switch s {
	case // the standard library
		"context canceled", "context deadline exceeded", "EOF", "unexpected EOF", "short write", "short buffer",
		"io: read/write on closed pipe", "use of closed network connection", "i/o timeout", "operation was canceled",
		"no such host", "server misbehaving", "no suitable address found", "lame referral", "cannot marshal DNS message",
		"cannot unmarshal DNS message", "file already closed", "file does not exist", "file already exists",
		"permission denied", "invalid argument", "deadline exceeded", "not a directory", "invalid syntax",
		"value out of range", "missing port in address", "invalid port", "net/http: request canceled", "http: Server closed",
		"sql: no rows in result set", "sql: transaction has already been committed or rolled back",
		"sql: connection is already closed", "sql: database is closed", "driver: bad connection", "signal: killed",
		"net/http: TLS handshake timeout", "tls: handshake failure", "unsupported operation":
		return true
	case // pgx and lib/pq
		"no rows in result set", "too many rows in result set", "tx is closed", "commit unexpectedly resulted in rollback",
		"conn closed", "conn busy", "closed pool", "rows is closed", "read only connection", "connection is not read only",
		"server is not in hot standby mode", "server is in standby mode", "server refused TLS connection",
		"failed to deallocate cached statement(s)", "no more results in batch", "pipeline closed",
		"pq: SSL is not enabled on the server", "pq: could not complete operation in a failed transaction":
		return true
	case // PgBouncer
		"query_wait_timeout", "server conn crashed?", "server_login_retry", "pooler is shut down", "database shutdown",
		"no more connections allowed (max_client_conn)":
		return true
	case // perdure
		"circuit breaker open", "retry budget spent", "perdure: manager closed", "outcome unknown", "parked too long",
		"no probe is attached",
		"perdure: the Manager is nil: make one with perdure.New",
		"perdurepgx: the transaction is committed when its function returns nil: do not call Commit",
		"perdurepgx: a transaction is open already: use tx.Begin for a savepoint",
		"perdurepgx: the pool handed out a connection without a witness",
		"perdurepgx: a batch must not begin or end a transaction: use InTx, and tx.SendBatch in it",
		"perdurepgx: the batch has no more results", "perdurepgx: the batch is closed",
		"perdurepgx: table perdure.outcome is not there, or may not be used: call Migrate once, as the owner of the schema",
		"perdurepgx: the function left a result open",
		"perdurepgx: the function ended the transaction with a statement of its own",
		"perdurepgx: BEGIN did not answer with the transaction's xid",
		"perdurepgx: the server did not answer what it is", "perdurepgx: the server did not answer whether the key is free",
		"no cancel request while a commit is pending", "the server is in recovery: it cannot write", "the server is a standby",
		"its transaction is still open on the server", "it is a prepared transaction",
		"the work panicked",
		"perdure: SetProbe: the probe is nil",
		"perdure: the Manager has a probe already: one Manager guards one database",
		"perdurepgx: the function made its READ ONLY transaction writable",
		"perdurepgx: a statement would have overtaken its BEGIN",
		"perdurepgx: the server refused BEGIN, and with it the statement", "perdurepgx: the server did not answer BEGIN",
		"perdurepgx: the pool's Config is nil: make one with pgxpool.ParseConfig",
		"perdurepgx: the pool's Config has no ConnConfig: make it with pgxpool.ParseConfig",
		"perdurepgx: the Manager is nil: make one with perdure.New",
		"perduresql: the driver has no StmtExecContext and StmtQueryContext",
		"perduresql: the driver has no ExecerContext and QueryerContext",
		"perduresql: use the methods that take a context",
		"perduresql: COPY cannot be guarded here: use perdurepgx, or insert statements of many rows",
		"perduresql: the connection of this session is lost: take a new sql.Conn",
		"the driver lost the connection",
		"perduresql: the server did not answer what it is",
		"perduresql: the pool's own connections run nothing",
		"the driver did not heed the end of its context",
		"the wait has left too little time for what this operation usually takes",
		"perduresql: the server did not answer whether the key is free",
		"perduresql: the connector is nil",
		"perduresql: the Manager is nil: make one with perdure.New",
		"end of the result",
		"perduresql: the transaction is committed when its function returns nil: do not call Commit",
		"perduresql: the transaction was ended by a statement",
		"perduresql: a READ ONLY transaction was made writable",
		"perduresql: a transaction is open already: use SAVEPOINT in it",
		"perduresql: table perdure.outcome is not there, or may not be used: call Migrate once, as the owner of the schema",
		"perduresql: the transaction has ended",
		"perduresql: BEGIN did not answer with the transaction's xid",
		"perdure: the key of a Once is empty",
		"perdure: the key of a Once is not UTF-8",
		"perdure: the key of a Once holds a zero byte",
		"the resolver's own transaction was rolled back",
		"committed, but the wait for the synchronous standbys was cancelled",
		"the server did not answer what became of a transaction":
		return true
	}
	return false
}
