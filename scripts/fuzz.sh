#!/bin/sh
# fuzz.sh TIME runs every fuzz target of every module for TIME, one after the
# other. A finding ends it: Go keeps the input below testdata/fuzz, where it is
# a test from then on.
set -eu
time=$1
dirs=$(go list -m -f '{{.Dir}}')
for dir in $dirs; do
	cd "$dir"
	# A nested module is not part of the packages of the module around it.
	go list -f '{{$dir := .Dir}}{{range .TestGoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}' ./... |
		while IFS= read -r file; do
			[ -n "$file" ] || continue
			for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
				echo "${file#"$dir"/}: $target" >&2
				go test "$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -parallel "${FUZZPARALLEL:-2}" </dev/null
			done
		done
done
