#!/bin/sh
# with-pg.sh COMMAND... runs COMMAND with PERDURE_PG_BIN set to the server
# binaries that setup.sh found or unpacked, if there are any, PERDURE_PYTHON to a Python
# that has psycopg, and PERDURE_PGBOUNCER to the PgBouncer that was unpacked.
set -eu
here=$(dirname -- "$0")
bin=$("$here/pgbin.sh")
if [ -n "$bin" ]; then
	PERDURE_PG_BIN=$bin
	export PERDURE_PG_BIN
fi
python=$("$here/python.sh")
if [ -n "$python" ]; then
	PERDURE_PYTHON=$python
	export PERDURE_PYTHON
fi
if [ -z "${PERDURE_PGBOUNCER:-}" ]; then
	pgbouncer=$(CDPATH='' cd -- "$here/.." && pwd)/.tools/bin/pgbouncer
	if [ -x "$pgbouncer" ]; then
		PERDURE_PGBOUNCER=$pgbouncer
		export PERDURE_PGBOUNCER
	fi
fi
exec "$@"
