// Package scenario makes trouble that can be made again: seeded streams of
// calls that fail by chance, and storms of callers on a server that is down.
// The tests that hold perdure to its bars and the comparison with its peers
// share it, so that both speak of the same trouble.
package scenario
