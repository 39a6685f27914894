//go:build race

package perduredbos_test

// Fewer under the race detector, with which all tests are run together: ask for more by -kills and -freezes.
const (
	mostKills   = 8
	mostFreezes = 4
)
