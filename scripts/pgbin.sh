#!/bin/sh
# pgbin.sh prints the directory of the newest PostgreSQL server binaries that
# can be found, and nothing when there are none. A directory counts when it has
# all that the tests start; PERDURE_PG_BIN, when set, is the only one looked at, and needs no more than a server.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

has_all() {
	for program in postgres initdb pg_ctl pg_basebackup; do
		[ -x "$1/$program" ] || return 1
	done
}

# candidates lists directories, the preferred ones first; a pattern that matches
# nothing stays as it is and is found incomplete.
candidates() {
	for version in 19 18 17 16 15 14; do
		for dir in \
			"/usr/lib/postgresql/$version/bin" \
			"/opt/homebrew/opt/postgresql@$version/bin" \
			"/usr/local/opt/postgresql@$version/bin" \
			"/home/linuxbrew/.linuxbrew/opt/postgresql@$version/bin" \
			"/usr/pgsql-$version/bin" \
			"/usr/libexec/postgresql$version" \
			"/Applications/Postgres.app/Contents/Versions/$version/bin"; do
			printf '%s\n' "$dir"
		done
	done
	if command -v pg_config >/dev/null 2>&1; then
		pg_config --bindir || true
	fi
	printf '%s\n' /usr/bin /usr/local/bin "$here/.tools/pg/bin"
}

if [ -n "${PERDURE_PG_BIN:-}" ]; then
	# Some collections of binaries have no more than these; a replica is then made by copying files.
	if [ -x "$PERDURE_PG_BIN/postgres" ] && [ -x "$PERDURE_PG_BIN/initdb" ]; then
		printf '%s\n' "$PERDURE_PG_BIN"
	else
		echo "pgbin.sh: PERDURE_PG_BIN=$PERDURE_PG_BIN lacks one of postgres, initdb" >&2
	fi
	exit 0
fi
candidates | while IFS= read -r dir; do
	if has_all "$dir"; then
		printf '%s\n' "$dir"
		break
	fi
done
