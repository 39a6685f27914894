//go:build !unix

package adapter

import "net"

// Readable cannot look into a socket on this system: the pool's own ping is
// all that finds a dead connection.
func Readable(net.Conn) bool { return false }
