#!/bin/sh
# bench-compare.sh OLD runs the benchmarks of the root package of the revision
# OLD and of the working tree, in turns, so that whatever else the machine does
# hits both alike, and writes what benchstat reads, each tree under its name.
# ROUNDS (10) is the number of turns, BENCH (Do|Rejected|ThreeFailures) which
# benchmarks, BENCHTIME (200ms) how long each.
set -eu
old=$1
dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/old" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
git worktree add --detach "$dir/old" "$old" >/dev/null 2>&1
(cd "$dir/old" && go test -c -o "$dir/old.test" .)
go test -c -o "$dir/new.test" .
round=0
while [ "$round" -lt "${ROUNDS:-10}" ]; do
	for tree in old new; do
		echo "tree: $tree"
		"$dir/$tree.test" -test.run '^$' -test.bench "${BENCH:-^Benchmark(Do|DoParallel|Rejected|ThreeFailures)\$}" -test.benchtime "${BENCHTIME:-200ms}" -test.benchmem
	done
	round=$((round + 1))
done
