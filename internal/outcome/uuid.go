package outcome

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// UUID names one attempt. It is of version 7: it begins with the time, so that
// the rows of the marker table are added at the end of its index.
type UUID [16]byte

// NewUUID returns the name of a new attempt.
func NewUUID() UUID {
	var u UUID
	_, _ = rand.Read(u[:]) // never fails
	ms := uint64(time.Now().UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i) & 0xff)
	}
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return u
}

// String returns the usual form with four hyphens.
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
