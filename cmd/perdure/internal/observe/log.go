package observe

import (
	"slices"
	"sync"
	"time"
)

const (
	// maxAtOnce bounds the events of a second that are told at once; what else begins within it is told at its end.
	maxAtOnce = 20
	// maxCounted bounds the different lines that are counted within a second; further ones are one line.
	maxCounted = 256
	// maxSeparate is how many operations may have a line of their own for the same thing in a second.
	maxSeparate = 5
)

// eventLog is a ring of records. The first of its kind is told at once; while
// more come, they are counted and told once a second, so that ten thousand
// give-ups a second are one line a second.
type eventLog struct {
	dirty chan struct{} // has one element while there are records that nobody was told of

	mu      sync.Mutex // guards the fields below
	ring    []record
	size    int    // of the ring when it is full
	base    uint64 // ID of the first record that there ever was
	next    uint64 // ID of the next record
	atOnce  int    // told at once since the last flush
	counted map[key]*tally
	order   []*tally // of counted, as they began
}

// tally counts what happens again within a second.
type tally struct {
	key         key
	count       uint64
	correlation string
	waited      time.Duration // the longest
	run         *RunEvent     // the last
}

// newEventLog counts IDs from the microsecond of its making, so that those of a
// restarted process are higher than all it gave before.
func newEventLog(size int, now time.Time) *eventLog {
	base := uint64(max(now.UnixMicro(), 1))
	return &eventLog{dirty: make(chan struct{}, 1), size: size, base: base, next: base, counted: map[key]*tally{}}
}

// add notes that something happened. It is called by hooks: it makes no words,
// and allocates nothing for what it has seen within the last second.
func (l *eventLog) add(k key, correlation string, waited time.Duration) {
	l.count(k, correlation, waited, nil)
}

func (l *eventLog) count(k key, correlation string, waited time.Duration, run *RunEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.counted[k]
	if t == nil {
		if len(l.counted) >= maxCounted {
			k = k.common()
			t = l.counted[k]
		}
		if t == nil && len(l.counted) < 2*maxCounted {
			t = &tally{key: k}
			l.counted[k] = t
			l.order = append(l.order, t)
			if l.atOnce < maxAtOnce {
				l.atOnce++
				l.put(record{at: time.Now(), key: k, count: 1, correlation: correlation, waited: waited, run: run})
				return
			}
		}
		if t == nil {
			return // more different things than anybody could read
		}
	}
	t.count++
	t.correlation, t.run = correlation, run
	t.waited = max(t.waited, waited)
}

// tell puts a record that is not counted with others.
func (l *eventLog) tell(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(r)
}

// put is called under mu.
func (l *eventLog) put(r record) {
	r.id = l.next
	l.next++
	if len(l.ring) < l.size {
		l.ring = append(l.ring, r)
	} else {
		*l.at(r.id) = r
	}
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}

// at is called under mu.
func (l *eventLog) at(id uint64) *record { return &l.ring[(id-l.base)%uint64(l.size)] } //nolint:gosec // not negative

// after returns the records after since, oldest first, and whether there were
// others that are gone. A since of zero asks for all there are.
func (l *eventLog) after(since uint64) (records []record, missed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.next - uint64(len(l.ring))
	from := since + 1
	switch {
	case since == 0:
		from = oldest
	case from < oldest || from > l.next:
		from, missed = oldest, true
	}
	for id := from; id < l.next; id++ {
		records = append(records, *l.at(id))
	}
	return records, missed
}

// last returns the ID of the last record, or one less than that of the first.
func (l *eventLog) last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - 1
}

// flush ends a second: what was counted in it is told, one line for each thing,
// or one for all operations together if there are many.
func (l *eventLog) flush(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.atOnce = 0
	lines := map[key]int{} // operations by what happened to them
	for _, t := range l.order {
		if t.count > 0 {
			lines[t.key.common()]++
		}
	}
	sums := map[key]int{} // index in due
	var due []record
	l.order = slices.DeleteFunc(l.order, func(t *tally) bool {
		if t.count == 0 {
			delete(l.counted, t.key)
			return true
		}
		k := t.key
		if n := lines[k.common()]; n > maxSeparate {
			k = k.common()
		}
		i, known := sums[k]
		if !known {
			i = len(due)
			sums[k] = i
			due = append(due, record{at: now, key: k})
		}
		r := &due[i]
		r.count += t.count
		r.operations++
		r.correlation, r.run = t.correlation, t.run
		r.waited = max(r.waited, t.waited)
		t.count, t.waited = 0, 0
		return false
	})
	for _, r := range due {
		l.put(r)
	}
}

// common is what lines of several operations have in common.
func (k key) common() key {
	k.op, k.unique = "", ""
	return k
}
