package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// problem is why a request was refused, as JSON. Its codes are a contract:
// docs/cli-json.md has them.
type problem struct {
	Status int      `json:"status"`
	Code   string   `json:"code"`
	Text   string   `json:"error"`
	Try    string   `json:"try,omitempty"`
	Known  []string `json:"known,omitempty"` // the names that there are
	Retry  wait     `json:"retry_after_seconds,omitempty"`
}

// wait is a time in whole seconds, rounded up.
type wait int64

func seconds(d time.Duration) wait { return wait((d + time.Second - 1) / time.Second) }

func refuse(w http.ResponseWriter, p problem) {
	if p.Retry > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(p.Retry), 10))
	}
	reply(w, p.Status, p)
}

// reply writes v. That the client is gone is no reason to do anything.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) //nolint:errchkjson // see above; the types cannot fail
}
