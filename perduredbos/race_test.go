//go:build race

package perduredbos_test

// mostKills is fewer under the race detector, with which all tests are run together: ask for more by -kills.
const mostKills = 8
