package component

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type measured struct {
	Name   string             `json:"name"`
	Note   string             `json:"note,omitempty"`
	F32    float32            `json:"f32"`
	Floats []float64          `json:"floats"`
	Ints   map[string]int64   `json:"ints,omitempty"`
	Sub    *measured          `json:"sub,omitempty"`
	Subs   []measured         `json:"subs,omitempty"`
	Any    any                `json:"any"`
	Bytes  []byte             `json:"bytes"`
	When   time.Time          `json:"when,omitzero"`
	Maps   map[string]float32 `json:"maps"`
	Flag   bool
	common
	hidden string
}

func drawMeasured(t *rapid.T, depth int) measured {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\x00\x1f\"\\", "\xff\xfe", "\u2028<>&", strings.Repeat("é", 5)}))
	m := measured{
		Name: text.Draw(t, "name"), Note: text.Draw(t, "note"), F32: rapid.Float32Range(-1e30, 1e30).Draw(t, "f32"),
		Floats: rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), rapid.SampledFrom([]float64{
			0, 1, -1, 10, 15, 100, 0.1, 1e-6, 1e-7, 1e20, 1e21, 123456789, math.SmallestNonzeroFloat64, math.Copysign(0, -1),
		})), 0, 5).Draw(t, "floats"),
		Ints:  rapid.MapOfN(text, rapid.Int64(), 0, 3).Draw(t, "ints"),
		Any:   rapid.SampledFrom([]any{nil, 1, "x", []int{1, -2}, map[string]any{"a": nil}, uint8(7), [2]bool{}, json.RawMessage("[1]")}).Draw(t, "any"),
		Bytes: rapid.SliceOfN(rapid.Byte(), 0, 7).Draw(t, "bytes"),
		Flag:  rapid.Bool().Draw(t, "flag"), hidden: "hidden",
	}
	if rapid.Bool().Draw(t, "when") {
		m.When = time.Unix(0, 0)
	}
	if depth > 0 && rapid.Bool().Draw(t, "sub") {
		sub := drawMeasured(t, depth-1)
		m.Sub, m.Subs = &sub, []measured{sub, {}}
	}
	return m
}

// The meter never counts more than there is, so that nothing which fits is
// refused; and of plain values hardly less, so that little more than the limit is ever
// encoded.
func TestMeterNeverCountsMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMeasured(t, 2)
		generous := limits{bytes: 1 << 30, depth: 50}
		raw, err := encode(m, generous)
		if err != nil {
			t.Fatal(err)
		}
		exact, err := encode(m, limits{bytes: len(raw), depth: 50})
		if err != nil {
			t.Fatalf("%d bytes do not fit into %d: %v", len(raw), len(raw), err)
		}
		if string(exact) != string(raw) {
			t.Fatalf("encoded %s, then %s", raw, exact)
		}
		if _, err := encode(m, limits{bytes: len(raw) - 1, depth: 50}); err == nil {
			t.Fatalf("%d bytes fit into %d", len(raw), len(raw)-1)
		}
		var plain any
		if err := json.Unmarshal(raw, &plain); err != nil {
			t.Fatal(err)
		}
		raw, err = encode(plain, generous)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := encode(plain, limits{bytes: len(raw)/3 - 1, depth: 50}); err == nil || !strings.HasPrefix(err.Error(), "has more than") {
			t.Fatalf("that %d bytes do not fit into a third is found only when they are encoded: %v", len(raw), err)
		}
	})
}
