//go:build unix

package measure

import (
	"syscall"
	"time"
)

// cpu is the time that the process has had of all cores, and its garbage collector with it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
