//go:build unix

package measure

import (
	"syscall"
	"time"
)

// CPU is the time that the process has had of all cores, and its garbage collector with it.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
