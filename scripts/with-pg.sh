#!/bin/sh
# with-pg.sh COMMAND... runs COMMAND with PERDURE_PG_BIN set to the server
# binaries that setup.sh found or unpacked, if there are any, and
# PERDURE_PGBOUNCER to the PgBouncer that it unpacked.
set -eu
bin=$("$(dirname -- "$0")/pgbin.sh")
if [ -n "$bin" ]; then
	PERDURE_PG_BIN=$bin
	export PERDURE_PG_BIN
fi
if [ -z "${PERDURE_PGBOUNCER:-}" ]; then
	pgbouncer=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)/.tools/bin/pgbouncer
	if [ -x "$pgbouncer" ]; then
		PERDURE_PGBOUNCER=$pgbouncer
		export PERDURE_PGBOUNCER
	fi
fi
exec "$@"
