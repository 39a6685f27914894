#!/bin/sh
# python.sh prints a Python that has psycopg 3, which the steps of examples/python
# need, and nothing when there is none. PERDURE_PYTHON, when set, is the only one looked at.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

candidates() {
	if [ -n "${PERDURE_PYTHON:-}" ]; then
		printf '%s\n' "$PERDURE_PYTHON"
		return
	fi
	printf '%s\n' /usr/bin/python3 "$here/.tools/python/bin/python3"
	command -v python3 || true
}

candidates | while IFS= read -r python; do
	if [ -x "$python" ] && "$python" -c 'import psycopg' >/dev/null 2>&1; then
		printf '%s\n' "$python"
		break
	fi
done
