-- name: AddOrder :one
insert into orders (owner) values ($1) returning id;

-- name: AssignOrders :execrows
update orders set owner = $1 where owner is null;

-- name: ListOrders :many
select id, owner from orders order by id;
