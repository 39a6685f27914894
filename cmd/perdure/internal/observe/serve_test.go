package observe_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// served is an Observer behind a real listener.
type served struct {
	*httptest.Server

	t    *testing.T
	o    *observe.Observer
	m    *perdure.Manager
	stop func()
}

func serve(t *testing.T, cfg observe.Config) *served {
	t.Helper()
	m := manager(t, "shop")
	cfg.Sources = []observe.Source{{Manager: m}}
	o, err := observe.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = o.Run(ctx) })
	s := &served{Server: httptest.NewServer(http.HandlerFunc(o.ServeEvents)), t: t, o: o, m: m}
	s.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(func() {
		s.stop()
		s.Close()
		if err := m.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// happen makes n events.
func (s *served) happen(n int) {
	for i := range n {
		s.m.Breaker("database").HoldClosed("number " + strconv.Itoa(i))
	}
}

// reply is an answer whose body is closed at the end of the test.
type reply struct {
	io.Reader

	status int
	header http.Header
}

func (s *served) get(query string, header ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	return reply{answer.Body, answer.StatusCode, answer.Header}
}

// message is one Server-Sent Event.
type message struct{ id, event, data string }

// read reads n messages of a stream, comments and the rest left out.
func read(t *testing.T, lines *bufio.Scanner, n int) (all []message) {
	t.Helper()
	var m message
	for len(all) < n && lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "":
			if m.event != "" {
				all = append(all, m)
			}
			m = message{}
		}
	}
	if len(all) < n {
		t.Fatalf("the stream ended after %d of %d messages: %v", len(all), n, lines.Err())
	}
	return all
}

func TestAStreamTellsWhatWasAndWhatComes(t *testing.T) {
	s := serve(t, observe.Config{})
	s.happen(2)
	answer := s.get("/")
	if got := answer.header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type = %q, want text/event-stream", got)
	}
	lines := bufio.NewScanner(answer)
	all := read(t, lines, 2)
	s.happen(1)
	all = append(all, read(t, lines, 1)...)
	last := uint64(0)
	for _, m := range all {
		var e observe.Event
		if err := json.Unmarshal([]byte(m.data), &e); err != nil || m.event != "event" {
			t.Fatalf("%+v: %v", m, err)
		}
		if strconv.FormatUint(e.ID, 10) != m.id || e.ID <= last || e.Manager != "shop" || e.Operation != "database" {
			t.Errorf("%+v: want a rising ID, in both places, and its origin", e)
		}
		last = e.ID
	}
	// A second reader goes on after the second event.
	resumed := read(t, bufio.NewScanner(s.get("/", "Last-Event-ID", all[1].id)), 1)
	if resumed[0] != all[2] {
		t.Errorf("resumed with %+v, want %+v", resumed[0], all[2])
	}
	since := read(t, bufio.NewScanner(s.get("/?since="+all[1].id)), 1)
	if since[0] != all[2] {
		t.Errorf("since begins with %+v, want %+v", since[0], all[2])
	}
}

func TestAStreamSaysWhenTheLogHasMovedOn(t *testing.T) {
	s := serve(t, observe.Config{Events: 10})
	s.happen(1)
	first := read(t, bufio.NewScanner(s.get("/")), 1)[0].id
	s.happen(11)
	for name, since := range map[string]string{"an ID that is gone": first, "an ID of another process": "7", "an ID that is yet to come": "9007199254740991"} {
		all := read(t, bufio.NewScanner(s.get("/", "Last-Event-ID", since)), 11)
		if all[0].event != "reset" || !strings.Contains(all[0].data, since) || all[1].event != "event" || all[10].event != "event" {
			t.Errorf("%s: the stream begins with %+v, want a reset and then all ten", name, all[0])
		}
	}
	second := s.o.LastEvent() - 10 // the last that is gone: all after it are there
	all := read(t, bufio.NewScanner(s.get("/", "Last-Event-ID", strconv.FormatUint(second, 10))), 1)
	if all[0].event != "event" {
		t.Errorf("the stream begins with %+v, though nothing is missed", all[0])
	}
}

func TestAListForThoseWithoutStreams(t *testing.T) {
	s := serve(t, observe.Config{})
	list := func(query string) (l struct {
		Events []observe.Event
		Last   uint64
		Missed bool
	},
	) {
		answer := s.get(query, "Accept", "application/json")
		if err := json.NewDecoder(answer).Decode(&l); err != nil || l.Events == nil {
			t.Fatalf("%s: %v, events %v", query, err, l.Events)
		}
		return l
	}
	if l := list("/"); len(l.Events) != 0 || l.Last != s.o.LastEvent() || l.Missed {
		t.Errorf("at first: %+v, want nothing", l)
	}
	s.happen(3)
	l := list("/")
	if len(l.Events) != 3 || l.Last != l.Events[2].ID {
		t.Errorf("%+v, want three events", l)
	}
	if more := list("/?since=" + strconv.FormatUint(l.Events[1].ID, 10)); len(more.Events) != 1 || more.Missed {
		t.Errorf("since the second: %+v, want one event", more)
	}
	if gone := list("/?since=5"); len(gone.Events) != 3 || !gone.Missed {
		t.Errorf("since an old process: %+v, want all three, and missed", gone)
	}
	for _, bad := range []string{"x", "-1", "99999999999999999999"} {
		if answer := s.get("/?since=" + bad); answer.status != http.StatusBadRequest {
			t.Errorf("since=%s: %d, want 400", bad, answer.status)
		}
	}
}

func TestReadersAreBoundedAndSentHome(t *testing.T) {
	s := serve(t, observe.Config{MaxSubscribers: 2})
	s.happen(1)
	var bodies []io.Reader
	for range 2 {
		answer := s.get("/")
		lines := bufio.NewScanner(answer)
		read(t, lines, 1)
		bodies = append(bodies, answer)
	}
	if answer := s.get("/"); answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" {
		t.Errorf("a third reader gets %d, want 503 with Retry-After", answer.status)
	}
	s.stop()
	for _, b := range bodies {
		if _, err := io.Copy(io.Discard, b); err != nil {
			t.Errorf("a stream ended with %v, want an orderly end", err)
		}
	}
	if answer := s.get("/"); answer.status != http.StatusServiceUnavailable {
		t.Errorf("after the end a reader gets %d, want 503", answer.status)
	}
}

// stuck is a reader that never reads: its connection takes no more.
type stuck struct {
	*httptest.ResponseRecorder

	writes int
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.writes++; s.writes > 1 {
		return 0, os.ErrDeadlineExceeded
	}
	return s.ResponseRecorder.Write(p)
}

func TestASlowReaderIsDropped(t *testing.T) {
	s := serve(t, observe.Config{MaxSubscribers: 1})
	s.happen(1)
	w := &stuck{ResponseRecorder: httptest.NewRecorder()}
	s.o.ServeEvents(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)) // returns
	if w.writes != 2 {
		t.Errorf("%d writes, want none after the one that failed", w.writes)
	}
	read(t, bufio.NewScanner(s.get("/")), 1) // its place is free again
}
