package matrix

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// hostName is what the name server knows.
const hostName = "db.perdure.test"

// nameServer is a name server that knows one name, and can fail.
type nameServer struct {
	conn    net.PacketConn
	failing atomic.Bool
	refused atomic.Int64 // questions that it answered with "server failure"
}

func newNameServer(tb testing.TB) *nameServer {
	tb.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(tb.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	n := &nameServer{conn: conn}
	ended := make(chan struct{})
	go func() { defer close(ended); n.serve(tb) }()
	tb.Cleanup(func() { _ = conn.Close(); <-ended })
	return n
}

// resolver returns one that asks n.
func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
}

func (n *nameServer) serve(tb testing.TB) {
	tb.Helper()
	buf := make([]byte, 512)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			tb.Errorf("name server: %v", err)
			return
		}
		if reply := n.answer(buf[:size]); reply != nil {
			_, _ = n.conn.WriteTo(reply, from) // who asks again is answered again
		}
	}
}

// The header of a message of DNS, RFC 1035 §4.1.1, and what is used of it.
const (
	dnsHeader   = 12
	dnsResponse = 0x8580 // an authoritative response, recursion available
	dnsFailure  = 2
	dnsNoName   = 3
	dnsAddress  = 1 // type A
)

// answer makes the response to one question.
func (n *nameServer) answer(q []byte) []byte {
	if len(q) < dnsHeader {
		return nil
	}
	var labels []string
	at := dnsHeader
	for at < len(q) && q[at] != 0 {
		next := at + 1 + int(q[at])
		if next > len(q) {
			return nil
		}
		labels = append(labels, string(q[at+1:next]))
		at = next
	}
	end := at + 5 // the root label, type and class
	if end > len(q) {
		return nil
	}
	kind := binary.BigEndian.Uint16(q[at+1:])
	r := append([]byte(nil), q[:end]...)
	flags, answers := uint16(dnsResponse), uint16(0)
	switch {
	case n.failing.Load():
		n.refused.Add(1)
		flags |= dnsFailure
	case !strings.EqualFold(strings.Join(labels, "."), hostName):
		flags |= dnsNoName
	case kind == dnsAddress:
		answers = 1
		r = append(r, 0xc0, dnsHeader, 0, dnsAddress, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1) // the name again, a second at most
	}
	binary.BigEndian.PutUint16(r[2:], flags)
	binary.BigEndian.PutUint16(r[4:], 1)
	binary.BigEndian.PutUint16(r[6:], answers)
	binary.BigEndian.PutUint32(r[8:], 0)
	return r
}
