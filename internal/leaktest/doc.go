// Package leaktest provokes the ways in which PostgreSQL and its driver put
// users' data into errors, with marked secrets on a live server, and looks for
// the marks in everything that perdure says: error texts, logs, and each
// further channel that is plugged in. Its tests are the package.
//
// A channel is a name and a func that returns all that has left by it. Feed it
// from hooks (satellites_test.go) or from the errors that were caught
// (channels_test.go), and return it from one of the methods named channels.
package leaktest
