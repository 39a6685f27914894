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
		"perdurepgx: table perdure.outcome is not there, or may not be used",
		"perdurepgx: the function left a result open",
		"perdurepgx: the function ended the transaction with a statement of its own",
		"perdurepgx: BEGIN did not answer with the transaction's xid",
		"perdurepgx: the key of a Once is empty", "perdurepgx: the key of a Once is not UTF-8",
		"perdurepgx: the key of a Once holds a zero byte",
		"perdurepgx: the server did not answer what it is", "perdurepgx: the server did not answer whether the key is free",
		"no cancel request while a commit is pending", "the server is in recovery: it cannot write", "the server is a standby",
		"its transaction is still open on the server", "it is a prepared transaction":
		return true
	}
	return false
}
