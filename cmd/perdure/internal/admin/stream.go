package admin

import (
	"context"
	"net/http"
	"time"
)

// stream serves an answer that goes on for long: its reader may take as long as
// it likes to ask, but not to take what it asked for.
func (s *Server) stream(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.streams <- struct{}{}:
			defer func() { <-s.streams }()
		default:
			refuse(w, problem{
				Status: http.StatusServiceUnavailable, Code: "too_many_streams",
				Text: "too many streams are open", Retry: seconds(writeTimeout),
			})
			return
		}
		rc := http.NewResponseController(w)
		// Without this the server's deadline for reading would end the request's context. A writer
		// that has no deadlines, as in a test, needs none lifted.
		_ = rc.SetReadDeadline(time.Time{})
		_ = rc.SetWriteDeadline(time.Time{})
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		stop := context.AfterFunc(s.ending, cancel) //nolint:contextcheck // the end of the Server, beside that of the request
		defer stop()
		next.ServeHTTP(&streamWriter{ResponseWriter: w, rc: rc}, r.WithContext(ctx))
	})
}

// streamWriter gives each write its deadline.
type streamWriter struct {
	http.ResponseWriter

	rc *http.ResponseController
}

// Write writes within the deadline, or fails: the handler then ends.
func (w *streamWriter) Write(b []byte) (int, error) {
	_ = w.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // see stream
	return w.ResponseWriter.Write(b)
}

// FlushError sends what was written so far, within the deadline.
func (w *streamWriter) FlushError() error {
	_ = w.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // see stream
	return w.rc.Flush()
}

// Flush is FlushError for those who ask for an http.Flusher.
func (w *streamWriter) Flush() { _ = w.FlushError() }

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
