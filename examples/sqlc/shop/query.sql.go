package shop

import (
	"context"
	"database/sql"
	"errors"
)

const addOrder = `-- name: AddOrder :one
insert into orders (owner) values ($1) returning id
`

// AddOrder adds an order and returns its id.
func (q *Queries) AddOrder(ctx context.Context, owner sql.NullString) (int64, error) {
	row := q.db.QueryRowContext(ctx, addOrder, owner)
	var id int64
	err := row.Scan(&id)
	return id, err
}

const assignOrders = `-- name: AssignOrders :execrows
update orders set owner = $1 where owner is null
`

// AssignOrders gives the orders without an owner to owner and returns how many they are.
func (q *Queries) AssignOrders(ctx context.Context, owner sql.NullString) (int64, error) {
	result, err := q.db.ExecContext(ctx, assignOrders, owner)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

const listOrders = `-- name: ListOrders :many
select id, owner from orders order by id
`

// ListOrders returns all orders.
func (q *Queries) ListOrders(ctx context.Context) (items []Order, err error) {
	rows, err := q.db.QueryContext(ctx, listOrders)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var i Order
		if err := rows.Scan(&i.ID, &i.Owner); err != nil {
			return nil, err
		}
		items = append(items, i)
	}
	return items, rows.Err()
}
