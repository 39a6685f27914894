// Package pgcluster runs a private PostgreSQL server from the binaries that are
// installed on the machine, and breaks it on request: stop modes, kill -9 of the
// postmaster or of one backend, freezing, streaming replicas, promotion.
//
// Tests use it through pgclustertest; the demo command uses it directly. It
// needs a Unix system. The server listens on a loopback port and on a socket
// inside its own directory, never on a standard port, and it never runs as root.
//
// # Nothing is left behind
//
// Close stops the server and removes its directory. A watchdog covers the case
// that the owner cannot call Close, because it was killed itself: it is a small
// shell process in its own session that holds the read end of a pipe. When the
// owner dies, the kernel closes the write end, and the watchdog stops the
// server, also a frozen one, releases its shared memory, and removes the
// directory. (PR_SET_PDEATHSIG was not used: it follows a thread and not a process,
// it reaches neither a frozen postmaster nor its backends, and Linux alone has it.)
//
// # Cost
//
// New runs initdb, which took 0.6 s on two cores, and starting takes 0.1 s. Copying a cached
// template directory took 0.1 s, but clusters made so share one system
// identifier, by which commit outcomes are told apart. One server for each test
// package costs less than either.
package pgcluster
