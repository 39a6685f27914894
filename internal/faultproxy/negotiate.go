package faultproxy

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// The codes of messages without a type, which come first on a connection.
const (
	sslRequest    = 80877103
	gssEncRequest = 80877104
	cancelRequest = 80877102
	protocolMajor = 3
	startupMax    = 10_000 // what servers accept
)

// negotiate reads what comes before the first typed message and forwards it. It
// reports whether typed messages follow.
func (l *link) negotiate() (framed bool, err error) {
	for {
		packet, err := readStartup(l.client)
		if err != nil {
			return false, err
		}
		switch code := binary.BigEndian.Uint32(packet[4:]); {
		case code == sslRequest || code == gssEncRequest:
			encrypted, err := l.encryption(packet)
			if err != nil || encrypted {
				return false, err
			}
		case code == cancelRequest:
			l.proxy.cancels.Add(1)
			return false, l.first(CancelRequest, "", packet)
		case code>>16 == protocolMajor:
			return true, l.first(Startup, startupText(packet[8:]), packet)
		default:
			return false, fmt.Errorf("%w: startup code %d", errFrame, code)
		}
	}
}

// first forwards a first message by the rules about it.
func (l *link) first(msg Message, text string, packet []byte) error {
	h := l.match(msg, text)
	if h != nil && h.rule.When == Before {
		l.strike(h, toServer, msg, text)
	}
	if h != nil && h.rule.When == After {
		l.mute(h.rule, toClient)
	}
	err := l.forward(toServer, packet)
	if h != nil && h.rule.When == After && err == nil {
		l.strike(h, toServer, msg, text)
	}
	return err
}

// encryption answers a request for it, or lets the server answer.
func (l *link) encryption(packet []byte) (encrypted bool, err error) {
	answer := []byte{'N'}
	if l.proxy.cfg.PassTLS {
		if err := l.forward(toServer, packet); err != nil {
			return false, err
		}
		if _, err := io.ReadFull(l.server, answer); err != nil {
			return false, err
		}
	}
	return answer[0] != 'N', l.forward(toClient, answer)
}

// readStartup reads one message without a type, whole, and not a byte more.
func readStartup(r io.Reader) ([]byte, error) {
	packet := make([]byte, 8)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(packet)
	if length < 8 || length > startupMax {
		return nil, fmt.Errorf("%w: startup of %d bytes", errFrame, length)
	}
	packet = append(packet, make([]byte, length-8)...)
	_, err := io.ReadFull(r, packet[8:])
	return packet, err
}

// startupText renders the parameters of a login as "user=alice database=shop".
func startupText(body []byte) string {
	var b strings.Builder
	for len(body) > 1 {
		var name, value []byte
		name, body = cstring(body)
		value, body = cstring(body)
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.Write(name)
		b.WriteByte('=')
		b.Write(value)
	}
	return b.String()
}
