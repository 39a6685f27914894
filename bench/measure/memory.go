package measure

import "runtime"

// Memory returns the bytes of heap that make's result keeps alive, for each of n things that it makes.
func Memory(n int, build func() (keep any, err error)) (float64, error) {
	before := live()
	kept, err := build()
	if err != nil {
		return 0, err
	}
	after := live()
	runtime.KeepAlive(kept)
	return float64(after-before) / float64(n), nil
}

func live() int64 {
	runtime.GC()
	runtime.GC() // what the first one found dead may have held more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below 2⁶³
}
