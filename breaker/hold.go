package breaker

// HoldOpen forces the breaker open, for maintenance, until Release or another hold.
func (b *Breaker) HoldOpen(reason string) {
	b.mu.Lock()
	defer b.unlock()
	from := b.State()
	b.held = HeldOpen
	b.due = b.now()
	b.become(Open, false)
	b.changed(from, b.now(), bounded(reason), Evidence{})
}

// HoldClosed forces the breaker closed, whatever fails, until Release or another hold.
func (b *Breaker) HoldClosed(reason string) {
	b.mu.Lock()
	defer b.unlock()
	b.held = HeldClosed
	b.close(b.now(), bounded(reason), false)
}

// Release ends a hold. A breaker that was held closed goes on closed, with its evidence forgotten; one
// that was held open stays open but is due to be probed at once.
func (b *Breaker) Release() {
	b.mu.Lock()
	defer b.unlock()
	now := b.now()
	switch b.held {
	case HeldOpen:
		b.held = NotHeld
		b.due = now
		b.become(Open, false)
		b.changed(Open, now, ReasonReleased, Evidence{})
	case HeldClosed:
		b.held = NotHeld
		b.close(now, ReasonReleased, false)
	case NotHeld:
	}
}

// maxReason bounds what is kept, logged and saved of a reason.
const maxReason = 200

func bounded(reason string) string {
	if len(reason) > maxReason {
		return reason[:maxReason]
	}
	return reason
}
