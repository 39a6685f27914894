package pipeline

import (
	"sync"
	"time"
)

// watcher hands events to the observer of a run, one at a time.
type watcher struct {
	mu      sync.Mutex // held while the observer is called
	observe func(Event)
	over    map[string]bool // steps of which no more progress is told
}

func newWatcher(observe func(Event)) *watcher {
	return &watcher{observe: observe, over: make(map[string]bool)}
}

func (w *watcher) send(e Event) {
	if w.observe == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Kind == EventProgress && w.over[e.Step] {
		return
	}
	w.over[e.Step] = e.Kind == EventStepEnded
	w.observe(e)
}

// progress is told by a task itself, on the task's goroutine.
func (w *watcher) progress(t Task, done, total int) {
	w.send(Event{
		Kind: EventProgress, At: time.Now(), Step: t.Step, Item: t.Item,
		Done: done, Total: total, Parts: true, Status: StatusRunning,
	})
}

func (w *watcher) ended(st *stepState, now time.Time) {
	w.send(Event{
		Kind: EventStepEnded, At: now, Step: st.def.Name, Status: st.status, Failure: st.failure,
		Done: st.done, Total: len(st.outputs), Attempts: st.attempts,
	})
}
