// Package client talks to the admin listener of a running perdure.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	// Default is where the listener is unless somebody says otherwise.
	Default = "http://127.0.0.1:7070"

	timeout   = 10 * time.Second
	maxAnswer = 16 << 20
)

// Client is a client of one listener. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// Breaker is a breaker as the listener shows it: docs/cli-json.md.
type Breaker struct {
	Manager     string  `json:"manager"`
	Name        string  `json:"name"`
	State       string  `json:"state"`
	Held        string  `json:"held"`
	Reason      string  `json:"reason"`
	Failures    uint64  `json:"failures"`
	OpenSeconds float64 `json:"open_seconds"`
}

// RefusedError is an answer that says no.
type RefusedError struct {
	Status int      `json:"status"`
	Code   string   `json:"code"`
	Text   string   `json:"error"`
	Try    string   `json:"try"`
	Known  []string `json:"known"`
}

// Error returns what the listener says.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s (%d %s)", e.Text, e.Status, e.Code) }

// New returns a Client of the listener at addr, a URL or host:port; empty means
// Default. A token is never sent to another machine over plain HTTP unless
// insecure is set.
func New(addr, token string, insecure bool) (*Client, error) {
	if addr == "" {
		addr = Default
	}
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil, u.RawQuery != "":
		return nil, errors.New("the address of the listener is not one: want http://HOST:PORT")
	case u.Scheme == "http" && token != "" && !loopback(u.Hostname()) && !insecure:
		return nil, fmt.Errorf("the token is not sent to %s over plain HTTP: everybody in between could read it", u.Hostname())
	}
	return &Client{base: strings.TrimSuffix(u.String(), "/"), token: token, http: &http.Client{
		Timeout: timeout,
		// What is meant for one listener, the token above all, goes to no other; nor through a proxy.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: timeout}).DialContext},
	}}, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Get returns the body of a path, or a *RefusedError.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// Post sends in as JSON and returns the body of the answer, or a *RefusedError.
func (c *Client) Post(ctx context.Context, path string, in any) ([]byte, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, http.MethodPost, path, b)
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return b, nil
	}
	e := &RefusedError{}
	if json.Unmarshal(b, e) != nil || e.Text == "" {
		e = &RefusedError{Status: answer.StatusCode, Code: "unexpected", Text: "this is not the answer of a perdure listener", Try: "--addr"}
	}
	return nil, e
}
