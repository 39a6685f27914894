#!/bin/sh
# with-pg.sh COMMAND... runs COMMAND with PERDURE_PG_BIN set to the server
# binaries that setup.sh found or unpacked, if there are any.
set -eu
bin=$("$(dirname -- "$0")/pgbin.sh")
if [ -n "$bin" ]; then
	PERDURE_PG_BIN=$bin
	export PERDURE_PG_BIN
fi
exec "$@"
