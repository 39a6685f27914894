//go:build !race

package perduredbos_test

const (
	mostKills   = 50
	mostFreezes = 12
)
