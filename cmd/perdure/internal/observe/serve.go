package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	heartbeatEvery = 15 * time.Second
	// writeLimit is how long one write to a reader may take before it is dropped.
	writeLimit = 10 * time.Second
	// reconnectAfter is told to browsers.
	reconnectAfter = 2 * time.Second
)

// eventList is the JSON of a plain GET.
type eventList struct {
	Events []Event `json:"events"`
	Last   uint64  `json:"last"`             // pass it as since to go on
	Missed bool    `json:"missed,omitempty"` // there were events after since that are gone
}

// ServeEvents tells the events: the ones that the log has, then each as it
// happens.
//
// With "Accept: application/json" it answers with what there is and ends:
// {"events": […], "last": ID, "missed": bool}. Otherwise it is a stream of
// Server-Sent Events (text/event-stream): each event has the event type "event",
// its ID as id, and its JSON as data; a comment every 15 s keeps the connection
// open. Both begin after the ID in "?since=", the stream also after the one in
// the header Last-Event-ID, which counts more; without either they begin with
// the oldest. If events after that ID are gone, the stream says so by an event of
// type "reset" and goes on with the oldest.
//
// A reader that does not read for 10 s is dropped; one too many gets 503 with
// Retry-After. Streams end when Run does. It sets the headers Content-Type,
// Cache-Control and X-Accel-Buffering, and replaces the server's write timeout.
func (o *Observer) ServeEvents(w http.ResponseWriter, r *http.Request) {
	since, err := sinceOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		o.list(w, since)
		return
	}
	signal, ok := o.subs.join()
	if !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many readers of events, or shutting down", http.StatusServiceUnavailable)
		return
	}
	defer o.subs.leave(signal)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that buffers would hold events back
	s := stream{w: w, control: http.NewResponseController(w), since: since}
	if err := s.text("retry: " + strconv.FormatInt(reconnectAfter.Milliseconds(), 10) + "\n\n"); err != nil {
		return
	}
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		if err := s.events(o); err != nil {
			return // the reader is gone, or too slow
		}
		select {
		case <-signal:
		case <-heartbeat.C:
			if err := s.text(":\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-o.subs.ended:
			return
		}
	}
}

func sinceOf(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("since")
	}
	if text == "" {
		return 0, nil
	}
	since, err := strconv.ParseUint(text, 10, 64)
	if err != nil || since >= 1<<63 {
		return 0, errors.New("since or Last-Event-ID: want the ID of an event, a whole number")
	}
	return since, nil
}

func (o *Observer) list(w http.ResponseWriter, since uint64) {
	events, missed := o.Events(since)
	if events == nil {
		events = []Event{}
	}
	last := o.log.last()
	if n := len(events); n > 0 {
		last = events[n-1].ID
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(eventList{Events: events, Last: last, Missed: missed}) // the reader is gone
}

// stream writes to one reader.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	since   uint64
}

// events writes what is new.
func (s *stream) events(o *Observer) error {
	events, missed := o.Events(s.since)
	var b bytes.Buffer
	if missed {
		fmt.Fprintf(&b, "event: reset\ndata: {\"since\":%d}\n\n", s.since)
	}
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "id: %d\nevent: event\ndata: %s\n\n", e.ID, data)
		s.since = e.ID
	}
	if missed && len(events) == 0 {
		s.since = 0 // there is nothing yet: all that comes is new
	}
	if b.Len() == 0 {
		return nil
	}
	return s.text(b.String())
}

func (s *stream) text(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}
