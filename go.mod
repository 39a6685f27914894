module github.com/perdure/perdure

go 1.26.0

require github.com/jackc/pgx/v5 v5.12.0

require (
	github.com/google/go-cmp v0.7.0 // indirect
	go.uber.org/goleak v1.3.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)
