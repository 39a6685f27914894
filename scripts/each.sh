#!/bin/sh
# each.sh COMMAND... runs COMMAND in the directory of every module that go.work
# names, the root first, and stops at the first that fails.
set -eu
dirs=$(go list -m -f '{{.Dir}}')
printf '%s\n' "$dirs" | while IFS= read -r dir; do
	(cd "$dir" && "$@" </dev/null)
done
