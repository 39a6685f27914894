package livetest

// deviceConditions are raised by Linux's own devices, which fail on demand and
// spare the test a full or a broken disk.
func deviceConditions() []statement {
	return []statement{
		raises("53100", `copy (select generate_series(1, 100000)) to '/dev/full'`), // ENOSPC
		raises("58030", `copy pair from '/proc/self/mem'`),                         // EIO
	}
}
