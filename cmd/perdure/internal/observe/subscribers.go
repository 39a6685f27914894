package observe

import "sync"

// subscribers are the readers of events. Each has a channel with room for one
// signal: whoever wakes them never waits for a slow one.
type subscribers struct {
	mu     sync.Mutex // guards the fields below
	max    int
	all    map[chan struct{}]struct{}
	ended  chan struct{} // closed at the end
	closed bool
}

func (s *subscribers) init(most int) {
	s.max, s.all, s.ended = most, map[chan struct{}]struct{}{}, make(chan struct{})
}

// join returns the signal of a new reader, or false if there are too many.
func (s *subscribers) join() (signal chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= s.max || s.closed {
		return nil, false
	}
	signal = make(chan struct{}, 1)
	s.all[signal] = struct{}{}
	return signal, true
}

func (s *subscribers) leave(signal chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, signal)
}

func (s *subscribers) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for signal := range s.all {
		select {
		case signal <- struct{}{}:
		default:
		}
	}
}

// close sends all readers home.
func (s *subscribers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.ended)
	}
}
