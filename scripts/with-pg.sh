#!/bin/sh
# with-pg.sh COMMAND... runs COMMAND with PERDURE_PG_BIN set to the server
# binaries that setup.sh found or unpacked, if there are any, and PERDURE_PYTHON to a Python
# that has psycopg.
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
exec "$@"
