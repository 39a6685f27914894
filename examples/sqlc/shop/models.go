package shop

import "database/sql"

// Order is a row of orders.
type Order struct {
	ID    int64
	Owner sql.NullString
}
