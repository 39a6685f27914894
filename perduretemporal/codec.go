package perduretemporal

import (
	"bytes"
	"compress/zlib"
	"encoding/json"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perdure/perdure/pipeline"
)

const (
	// maxState is the most bytes that a run carries along, compressed. Temporal
	// takes 2 MiB at once; the rest is for what surrounds them.
	maxState = 3 << 19
	// plain is the size up to which a payload stays readable for Temporal's own tools.
	plain = 16 << 10
	// The most bytes of the texts of a failure that are kept.
	maxMessage, maxStack = 4 << 10, 8 << 10
)

// newConverter returns what turns values into payloads: JSON, the large ones compressed.
func newConverter() converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), large{converter.NewZlibCodec(converter.ZlibCodecOptions{})})
}

// large compresses what is larger than plain.
type large struct{ zlib converter.PayloadCodec }

// Encode returns the payloads, the large ones compressed.
func (l large) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		out[i] = p
		if len(p.GetData()) <= plain {
			continue
		}
		packed, err := l.zlib.Encode(payloads[i : i+1])
		if err != nil {
			return nil, err
		}
		out[i] = packed[0]
	}
	return out, nil
}

// Decode returns the payloads as they were.
func (l large) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return l.zlib.Decode(payloads)
}

// packedSize is the size of v as compressed JSON, or as JSON if that is less.
func packedSize(v any) (int, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return min(len(raw), b.Len()), nil
}

// curb returns the outcome with texts of a bounded length. An error may say as
// much as it likes; a history may not.
func curb(o pipeline.Outcome) pipeline.Outcome {
	if o.Failure == nil {
		return o
	}
	f := *o.Failure
	f.Message, f.Hint, f.Stack = head(f.Message, maxMessage), head(f.Hint, maxMessage), head(f.Stack, maxStack)
	return pipeline.Outcome{Failure: &f}
}

// head is the beginning of a text, at most n bytes of it and an ellipsis.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 { // not in the midst of a rune
		n--
	}
	return s[:n] + "…"
}
