package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/perduretemporal"
	"github.com/perdure/perdure/redact"
)

// temporalFlags say where Temporal is, and how it is spoken to.
type temporalFlags struct {
	addr, namespace, queue string
	tls                    bool
	ca, cert, key          string // files
	apiKeyFile             string
}

func (f *temporalFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.addr, "temporal", "", "of temporal: HOST:PORT of the cluster's frontend (default: 127.0.0.1:7233)")
	cmd.Flags().StringVar(&f.namespace, "temporal-namespace", "", "of temporal: the namespace (default: default)")
	cmd.Flags().StringVar(&f.queue, "temporal-queue", "", "of temporal: the task queue that its workers share (default: perdure)")
	cmd.Flags().BoolVar(&f.tls, "temporal-tls", false, "of temporal: speak TLS; any of the following does so too")
	cmd.Flags().StringVar(&f.ca, "temporal-ca", "", "of temporal: file with the certificates of authorities to trust, instead of the system's")
	cmd.Flags().StringVar(&f.cert, "temporal-cert", "", "of temporal: file with a client certificate; needs --temporal-key")
	cmd.Flags().StringVar(&f.key, "temporal-key", "", "of temporal: file with the key of the client certificate")
	cmd.Flags().StringVar(&f.apiKeyFile, "temporal-api-key-file", "", "of temporal: file with an API key")
}

// given reports whether any of the flags was.
func (f *temporalFlags) given() bool { return *f != temporalFlags{} }

// again are the flags that lead to the same cluster once more.
func (f *temporalFlags) again() string {
	var b strings.Builder
	for _, flag := range []struct{ name, value string }{
		{"temporal", f.addr},
		{"temporal-namespace", f.namespace},
		{"temporal-queue", f.queue},
		{"temporal-ca", f.ca},
		{"temporal-cert", f.cert},
		{"temporal-key", f.key},
		{"temporal-api-key-file", f.apiKeyFile},
	} {
		if flag.value != "" {
			b.WriteString(" --" + flag.name + " " + flag.value)
		}
	}
	if f.tls {
		b.WriteString(" --temporal-tls")
	}
	return b.String()
}

// where is the cluster, for people.
func (f *temporalFlags) where() string {
	if f.addr == "" {
		return "127.0.0.1:7233"
	}
	return f.addr
}

// taskQueue is where workers look for work.
func (f *temporalFlags) taskQueue() string {
	if f.queue == "" {
		return "perdure"
	}
	return f.queue
}

// config reads the files that were named.
func (f *temporalFlags) config(log *slog.Logger) (perduretemporal.Config, error) {
	c := perduretemporal.Config{HostPort: f.addr, Namespace: f.namespace, TaskQueue: f.queue, Log: log}
	if f.apiKeyFile != "" {
		b, err := os.ReadFile(f.apiKeyFile)
		if err != nil {
			return c, &exitError{code: exitInvalid, err: err, hint: "--temporal-api-key-file FILE"}
		}
		key := strings.TrimSpace(string(b))
		if key == "" {
			return c, &exitError{code: exitInvalid, err: fmt.Errorf("%s: there is no API key in it", f.apiKeyFile), hint: "--temporal-api-key-file FILE"}
		}
		c.APIKey = redact.NewSecret(key)
	}
	if (f.cert == "") != (f.key == "") {
		return c, usageError("--temporal-cert and --temporal-key belong together")
	}
	if !f.tls && f.ca == "" && f.cert == "" {
		return c, nil
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		b, err := os.ReadFile(f.ca)
		if err != nil {
			return c, &exitError{code: exitInvalid, err: err, hint: "--temporal-ca FILE"}
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(b) {
			return c, &exitError{code: exitInvalid, err: fmt.Errorf("%s: there is no certificate in it", f.ca), hint: "--temporal-ca FILE, in PEM"}
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return c, &exitError{code: exitInvalid, err: fmt.Errorf("client certificate: %w", err), hint: "--temporal-cert FILE --temporal-key FILE, in PEM"}
		}
		c.TLS.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
