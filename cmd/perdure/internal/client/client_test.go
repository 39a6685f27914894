package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/cmd/perdure/internal/client"
)

const token = "0123456789abcdef"

func TestAddressesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		addr, token string
		insecure    bool
		ok          bool
	}{
		{"", token, false, true},
		{"127.0.0.1:7070", token, false, true},
		{"http://localhost:7070/", token, false, true},
		{"http://[::1]:7070", token, false, true},
		{"https://db7.example.com", token, false, true},
		{"http://db7.example.com:7070", "", false, true},
		{"http://db7.example.com:7070", token, false, false},
		{"db7.example.com:7070", token, false, false},
		{"http://db7.example.com:7070", token, true, true},
		{"http://localhost.evil.example", token, false, false},
		{"http://user:pw@localhost", token, false, false},
		{"ftp://localhost", token, false, false},
		{"http://", token, false, false},
		{"http://localhost?x=y", token, false, false},
	} {
		if _, err := client.New(c.addr, c.token, c.insecure); (err == nil) != c.ok {
			t.Errorf("New(%q, token %v, %v) = %v", c.addr, c.token != "", c.insecure, err)
		}
	}
}

// TestTheTokenGoesToOneListener: not to where a redirect leads.
func TestTheTokenGoesToOneListener(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	c, err := client.New(s.URL, token, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Post(t.Context(), "/x", nil)
	if e, ok := errors.AsType[*client.RefusedError](err); !ok || e.Code != "unexpected" || e.Status != http.StatusTemporaryRedirect {
		t.Errorf("Post = %v, want an unexpected answer", err)
	}
}

func TestAnswers(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Authorization") != "Bearer "+token:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"status": 401, "code": "token_wrong", "error": "no", "try": "another", "known": ["a"]}`)
		case r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
			t.Errorf("Content-Type = %q", r.Header.Get("Content-Type"))
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.URL.String()+" "+string(b))
		}
	}))
	defer s.Close()
	c, err := client.New(s.URL, token, false)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := c.Get(t.Context(), "/a?b=c"); err != nil || string(b) != "GET /a?b=c " {
		t.Errorf("Get = %q, %v", b, err)
	}
	if b, err := c.Post(t.Context(), "/a", map[string]string{"reason": "x"}); err != nil || string(b) != `POST /a {"reason":"x"}` {
		t.Errorf("Post = %q, %v", b, err)
	}
	if c, err = client.New(s.URL, "another-token-01234", false); err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(t.Context(), "/a")
	got, _ := errors.AsType[*client.RefusedError](err)
	if diff := cmp.Diff(&client.RefusedError{Status: 401, Code: "token_wrong", Text: "no", Try: "another", Known: []string{"a"}}, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
