//go:build unix

package adapter

import (
	"net"
	"syscall"
)

// Readable reports whether something waits to be read on conn (data, the end,
// or an error), without waiting, without taking it, and without a round trip.
func Readable(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var waits bool
	// Control, not Read: Read would wait for a reader that is at work, such as
	// the one that the driver starts behind a slow write and leaves in its read.
	err = rc.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waits = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR
	})
	return waits || err != nil
}
