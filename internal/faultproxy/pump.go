package faultproxy

import (
	"encoding/binary"
	"errors"
	"io"
)

// A pump forwards one direction of a link, message by message.
type pump struct {
	l      *link
	d      direction
	framed bool // else it forwards bytes, as after TLS

	buf  []byte
	fill int // buf[:fill] has been read
	rest int // of the message that is being forwarded, to come

	pending *pendingFault // strikes when rest is through
	known   statements    // of the client; unused in the other direction
}

// A pendingFault waits for the end of its message.
type pendingFault struct {
	rule *RuleHandle
	msg  Message
	text string
}

func newPump(l *link, d direction, framed bool) *pump {
	return &pump{l: l, d: d, framed: framed, buf: make([]byte, bufferLen), known: newStatements()}
}

func (p *pump) run() {
	src := p.l.src(p.d)
	for {
		if err := p.process(); err != nil {
			p.l.end(RST) // the other end is gone, or this is not PostgreSQL
			return
		}
		n, err := src.Read(p.buf[p.fill:])
		p.fill += n
		if err != nil && n == 0 {
			p.close(err)
			return
		}
	}
}

// close tells the other end how this one ended.
func (p *pump) close(err error) {
	// What is left is the beginning of a message that the sender did not finish.
	if p.l.forward(p.d, p.buf[:p.fill]) != nil || p.l.severed.Load() {
		return
	}
	if errors.Is(err, io.EOF) {
		_ = p.l.dst(p.d).CloseWrite() // fails when the other end was faster
	} else {
		p.l.end(RST)
	}
	if p.d == toClient {
		p.l.proxy.hangUps.Add(1)
	}
}

// process forwards what has been read, up to the last message that has to be seen
// whole and is not there yet.
func (p *pump) process() error {
	sent, pos := 0, 0
	flush := func() error {
		err := p.l.forward(p.d, p.buf[sent:pos])
		sent = pos
		return err
	}
	for pos < p.fill {
		if !p.framed {
			pos = p.fill
			continue
		}
		if p.rest > 0 {
			n := min(p.rest, p.fill-pos)
			pos += n
			p.rest -= n
			if p.rest > 0 || p.pending == nil {
				continue
			}
			fault := p.pending
			p.pending = nil
			p.l.mute(fault.rule.rule, 1-p.d)
			if err := flush(); err != nil {
				return err
			}
			p.l.strike(fault.rule, p.d, fault.msg, fault.text)
			continue
		}
		f, ok, err := parseFrame(p.buf[pos:p.fill], p.inspected)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		p.rest = f.size
		msg, text := p.read(f)
		h := p.l.match(msg, text)
		switch {
		case h == nil:
		case h.rule.When == After:
			p.pending = &pendingFault{h, msg, text}
		default:
			if err := flush(); err != nil {
				return err
			}
			p.l.strike(h, p.d, msg, text)
		}
	}
	if err := flush(); err != nil {
		return err
	}
	p.fill = copy(p.buf, p.buf[pos:p.fill])
	return nil
}

func (p *pump) inspected(kind byte) bool {
	if p.d == toServer {
		return p.known.inspected(kind)
	}
	switch kind {
	case 'C', 'Z', 'E', 'K', 'R':
		return true
	default:
		return false
	}
}

// read follows one message and returns what rules may ask about it.
func (p *pump) read(f frame) (msg Message, text string) {
	rules := len(*p.l.proxy.rules.Load()) > 0
	if p.d == toServer {
		if f.kind == 'Q' && !rules {
			return 0, "" // spares a copy of the SQL
		}
		return clientMessage(f.kind), p.known.read(f)
	}
	switch f.kind {
	case 'K':
		if len(f.body) >= 4 {
			p.l.pid.Store(int64(binary.BigEndian.Uint32(f.body)))
		}
	case 'R':
		if len(f.body) >= 4 && binary.BigEndian.Uint32(f.body) == 0 {
			return Authenticated, ""
		}
	case 'C', 'Z', 'E':
		if rules {
			return serverMessage(f.kind), replyText(f)
		}
	default:
		return serverMessage(f.kind), ""
	}
	return 0, ""
}

func replyText(f frame) string {
	switch f.kind {
	case 'E':
		return errorCode(f.body)
	case 'Z':
		return string(f.body)
	default:
		tag, _ := cstring(f.body)
		return string(tag)
	}
}
