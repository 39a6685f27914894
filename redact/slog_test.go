package redact_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure/redact"
)

type config struct{ Host, Password string }

type valuer struct{}

func (valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("password", "mark"), slog.Int("n", 1))
}

type badValuer struct{}

func (badValuer) String() string { panic("mark") }

// plain leaves out what changes from run to run.
func plain(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestHandlerRedactsRecords(t *testing.T) {
	u := &url.URL{Scheme: "postgres", User: url.UserPassword("a", "mark"), Host: "h", Path: "/db"}
	for _, tt := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"the message", func(l *slog.Logger) { l.Info("to postgres://a:mark@h/db") }, `msg="to postgres://a:[redacted]@h/db"`},
		{"an error", func(l *slog.Logger) { l.Info("m", slog.Any("err", fmt.Errorf("mark: %w", bare("40001")))) }, `msg=m err="serialization_failure (SQLSTATE 40001)"`},
		{"keys that name a secret", func(l *slog.Logger) {
			l.Info("m", slog.String("db_password", "mark"), slog.Int("n", 1), slog.Int("api_key", 7))
		}, `msg=m db_password=[redacted] n=1 api_key=[redacted]`},
		{"arguments and fields of the server", func(l *slog.Logger) { l.Info("m", slog.Any("args", []any{"mark"}), slog.String("detail", "mark")) }, `msg=m args=[redacted] detail=[redacted]`},
		{"SQL", func(l *slog.Logger) { l.Info("m", slog.String("sql", "select 'mark'")) }, `msg=m sql="select ?"`},
		{"groups, nested", func(l *slog.Logger) {
			l.WithGroup("g").Info("m", slog.Group("h", slog.String("password", "mark"), slog.Duration("d", time.Second)))
		}, `msg=m g.h.password=[redacted] g.h.d=1s`},
		{"attributes of the logger", func(l *slog.Logger) { l.With(slog.String("dsn", "mark"), slog.Any("url", u)).Info("m") }, `msg=m dsn=[redacted] url=postgres://a:[redacted]@h/db`},
		{"values that resolve", func(l *slog.Logger) { l.Info("m", slog.Any("v", valuer{})) }, `msg=m v.password=[redacted] v.n=1`},
		{"values that cannot be judged", func(l *slog.Logger) { l.Info("m", slog.Any("c", config{"h", "mark"}), slog.Any("b", []byte("mark"))) }, `msg=m c="[redacted] (redact_test.config)" b="[redacted] ([]uint8)"`},
		{"a list of texts", func(l *slog.Logger) { l.Info("m", slog.Any("l", []string{"a", "password=mark"})) }, `msg=m l="[a password=[redacted]]"`},
		{"a method that panics", func(l *slog.Logger) { l.Info("m", slog.Any("v", badValuer{})) }, `msg=m v=[redacted]`},
		{"a secret", func(l *slog.Logger) { l.Info("m", slog.Any("v", redact.NewSecret("mark"))) }, `msg=m v=[redacted]`},
		{"fields of the server", func(l *slog.Logger) {
			l.Info("m", slog.Any("e", redact.Fields{Code: "22P02", Message: "mark", Routine: "pg_strtoint32"}))
		}, `msg=m e.sqlstate=22P02 e.condition=invalid_text_representation e.routine=pg_strtoint32`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			tt.log(slog.New(redact.Handler(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: plain}))))
			got := strings.TrimSpace(strings.TrimPrefix(b.String(), "level=INFO "))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReplaceAttrRedactsInAHandler(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: redact.ReplaceAttr}))
	l.Info("password=mark", slog.String("token", "mark"), slog.Int("n", 3), slog.Any("e", errors.New("mark")), slog.Group("g", slog.String("secret", "mark")))
	if got := b.String(); strings.Contains(got, "mark") || !strings.Contains(got, `"n":3`) {
		t.Errorf("record = %s", got)
	}
}
