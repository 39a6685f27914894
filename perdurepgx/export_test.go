package perdurepgx

// Prune does what the watchdog does every ten minutes.
func (db *DB) Prune() { db.prune() }
