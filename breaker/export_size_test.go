package breaker

import "unsafe"

func size() uintptr { return unsafe.Sizeof(Breaker{}) }
