// Package leaktest provokes the ways in which PostgreSQL and its driver put
// users' data into errors, with marked secrets on a live server, and looks for
// the marks in everything that perdure says: error texts, logs, and each
// further channel that is plugged in as [Outlets]. Its own tests plug in the
// packages that show what a Manager does; the command's plug in its listener.
package leaktest
