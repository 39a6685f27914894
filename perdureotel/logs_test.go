package perdureotel_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/perdurelog"
	"github.com/perdure/perdure/perdureotel"
)

func TestLogLinesLeadToTheSpanOfTheirCall(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	o := options{manager: perdure.Config{Hooks: perdurelog.Hooks(logger, perdurelog.Config{Trace: perdureotel.IDs})}}
	bubble(t, o, func(r *rig) {
		_ = r.m.Do(r.Context(), perdure.Op{Name: "op", Idempotent: true, Policy: fixed}, failing(1, sqlError("40001")))
		span := r.named("op")[0].SpanContext
		type line struct {
			Msg           string `json:"msg"`
			CorrelationID string `json:"correlation_id"`
			TraceID       string `json:"trace_id"`
			SpanID        string `json:"span_id"`
		}
		var got []line
		for decoder := json.NewDecoder(&out); ; {
			var one line
			if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				r.Fatal(err)
			}
			got = append(got, one)
		}
		id, spanID := span.TraceID().String(), span.SpanID().String()
		want := []line{{"attempt failed", id, id, spanID}, {"call recovered", id, id, spanID}}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Error(diff)
		}
	})
}
