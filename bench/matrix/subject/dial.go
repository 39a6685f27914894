package subject

import (
	"context"
	"net"
	"net/url"
	"time"
)

// pqDialer is a net.Dialer as lib/pq asks for it.
type pqDialer struct{ *net.Dialer }

func (d *pqDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	limited := *d.Dialer
	limited.Timeout = timeout
	return limited.Dial(network, address)
}

func (d *pqDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.Dialer.DialContext(ctx, network, address)
}

// withParameter sets a parameter of a connection URL.
func withParameter(rawURL, name, value string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String(), nil
}
