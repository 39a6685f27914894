//go:build !unix

package perdurepgx

import "net"

// readable cannot look into a socket on this system: the pool's own ping is
// all that finds a dead connection.
func readable(net.Conn) bool { return false }
