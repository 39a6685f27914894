package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
	"github.com/perdure/perdure/pipeline"
	"github.com/perdure/perdure/redact"
)

// caller is the value of the component http.
type caller struct {
	client *http.Client
	m      *perdure.Manager
}

func httpFactory(c Config) component.Factory {
	return component.Factory{
		Name: httpName,
		Doc:  "HTTP calls. A call happens at least once.",
		Methods: []component.Callable{
			component.MethodOf("call", (*caller).call).With(component.Options{Doc: "One request."}),
		},
		Maker: component.Make(func(context.Context, component.Deps, struct{}) (*caller, error) {
			m, err := c.manager()
			client := c.Client
			if client == nil {
				client = &http.Client{CheckRedirect: sameHost}
			}
			return &caller{client, m}, err
		}),
	}
}

// sameHost follows redirects, but hands headers, which may be secret, to no other host.
func sameHost(r *http.Request, via []*http.Request) error {
	const most = 10
	if len(via) >= most {
		return fmt.Errorf("more than %d redirects", most)
	}
	if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

type httpInput struct {
	URL        string            `json:"url"`
	Method     string            `json:"method,omitempty" jsonschema:"default GET"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       json.RawMessage   `json:"body,omitempty" jsonschema:"sent as JSON; a text is sent as it is"`
	Idempotent bool              `json:"idempotent,omitempty" jsonschema:"calling twice is the same as calling once, so that it may be repeated; GET, HEAD and OPTIONS always are"`
}

// Validate checks what the schema cannot.
func (in httpInput) Validate() error {
	u, err := url.Parse(in.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("url: want http:// or https:// and a host") // it may hold a secret: not shown
	}
	return nil
}

type httpOutput struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header" jsonschema:"content-type, etag, last-modified and location, if they were there"`
	Body   json.RawMessage   `json:"body" jsonschema:"JSON if it is that, else a text"`
}

func (c *caller) call(ctx context.Context, in httpInput) (httpOutput, error) {
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	in.Method = strings.ToUpper(in.Method)
	o := op(ctx, "http.call")
	o.Idempotent = in.Idempotent || in.Method == http.MethodGet || in.Method == http.MethodHead || in.Method == http.MethodOptions
	return perdure.Get(ctx, c.m, o, func(ctx context.Context) (httpOutput, error) { return c.attempt(ctx, in, o.Idempotent) })
}

// maxInside is the longest Retry-After that is waited for within the step. A
// longer one ends it, and the engine waits, holding nothing.
const maxInside = 30 * time.Second

func (c *caller) attempt(ctx context.Context, in httpInput, idempotent bool) (httpOutput, error) {
	body, kind := requestBody(in.Body)
	r, err := http.NewRequestWithContext(ctx, in.Method, in.URL, bytes.NewReader(body))
	if err != nil {
		return httpOutput{}, errors.New("the request cannot be made: check method and url")
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if key := pipeline.Key(ctx, "http"); key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	for name, v := range in.Headers {
		r.Header.Set(name, v)
	}
	res, err := c.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return httpOutput{}, context.Cause(ctx)
		}
		return httpOutput{}, perdure.Transient(&CallError{Method: in.Method, Host: r.URL.Host, err: err})
	}
	defer func() { _ = res.Body.Close() }() // what was read of it is all that is wanted
	text, err := io.ReadAll(io.LimitReader(res.Body, pipeline.MaxOutput+1))
	failed := &CallError{Method: in.Method, Host: r.URL.Host, Status: res.StatusCode, err: err}
	switch {
	case err != nil:
		return httpOutput{}, perdure.Transient(failed)
	case repeatable(res.StatusCode):
		after, ok := retryAfter(res.Header.Get("Retry-After"), time.Now())
		if ok && idempotent && after > maxInside {
			return httpOutput{}, pipeline.RetryAt(failed, time.Now().Add(after))
		}
		if ok {
			return httpOutput{}, perdure.RetryAfter(failed, after)
		}
		return httpOutput{}, perdure.Transient(failed)
	case res.StatusCode >= http.StatusBadRequest:
		return httpOutput{}, failed
	case len(text) > pipeline.MaxOutput:
		return httpOutput{}, fmt.Errorf("the answer has more than %d bytes: fetch it with process.run, into a file", pipeline.MaxOutput)
	}
	out := httpOutput{Status: res.StatusCode, Header: map[string]string{}, Body: text}
	for _, name := range []string{"Content-Type", "Etag", "Last-Modified", "Location"} {
		if v := res.Header.Get(name); v != "" {
			out.Header[strings.ToLower(name)] = v
		}
	}
	if !json.Valid(text) {
		if out.Body, err = json.Marshal(strings.ToValidUTF8(string(text), "\uFFFD")); err != nil {
			return httpOutput{}, err
		}
	}
	return out, nil
}

func requestBody(raw json.RawMessage) (body []byte, kind string) {
	if len(raw) == 0 {
		return nil, ""
	}
	var text string
	if raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return []byte(text), "text/plain; charset=utf-8"
	}
	return raw, "application/json"
}

// repeatable reports whether a status says that the same request may do better
// later.
func repeatable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads the header (RFC 9110, 10.2.3): seconds, or a date.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	const most = 24 * time.Hour
	if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n >= 0 {
		return min(time.Duration(min(n, int(most/time.Second)))*time.Second, most), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), most), true
	}
	return 0, false
}

// CallError says how a call failed. It shows no more of the address than the host.
type CallError struct {
	Method, Host string
	// Status of the answer; zero if there was none.
	Status int
	err    error
}

// Error names the request and what came of it.
func (e *CallError) Error() string { return e.Describe(redact.Error) }

// Describe makes it a Describer of the package redact.
func (e *CallError) Describe(text func(error) string) string {
	s := e.Method + " " + e.Host
	if e.Status != 0 {
		s += fmt.Sprintf(": status %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.err != nil {
		s += ": " + text(e.err)
	}
	return s
}

// Unwrap returns what the network said.
func (e *CallError) Unwrap() error { return e.err }
