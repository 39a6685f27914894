package main

// slotShift leaves as many bits of a product as number the slots.
const slotShift = 64 - 12

// perfectHash returns a factor by which no two of the codes fall into the same
// slot, and the slots: i+1 for the code i, 0 for none. With fifteen times as
// many slots as codes a factor in some thousands will do.
func perfectHash(codes []uint64) (factor uint64, slots []uint16) {
	for factor = 0x9e3779b97f4a7c15; ; factor += 0x2545f4914f6cdd1e { // odd, and stays so
		slots = make([]uint16, 1<<(64-slotShift))
		if fill(slots, codes, factor) {
			return factor, slots
		}
	}
}

func fill(slots []uint16, codes []uint64, factor uint64) bool {
	for i, c := range codes {
		at := c * factor >> slotShift
		if slots[at] != 0 {
			return false
		}
		slots[at] = uint16(i + 1)
	}
	return true
}
