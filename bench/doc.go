// Package bench compares perdure with what would be used instead of it: the
// cost of a call, memory, work on a live server, how fast breakers notice
// trouble, and what repeats do to a server that is down.
//
// "make bench" measures all of it in one run and prints Markdown;
// docs/benchmarks.md holds what it printed last. Each peer is set up in package
// guard, with the source of its configuration.
package bench
