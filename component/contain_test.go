package component_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/component"
)

type knot struct {
	Next any `json:"next"`
}

// boastful is JSON that its type makes: its size is not known before.
type boastful int

func (b boastful) MarshalJSON() ([]byte, error) {
	return append(append([]byte{'"'}, strings.Repeat("x", int(b))...), '"'), nil
}

func TestWhatAMethodReturnsIsContained(t *testing.T) {
	loop := &knot{}
	loop.Next = loop
	deep := any(1)
	for range 200 {
		deep = []any{deep}
	}
	l := methods(t, component.Config{MaxOutput: 1 << 10},
		component.Method("any", func(_ context.Context, in string) (any, error) {
			switch in {
			case "nan":
				return math.NaN(), nil
			case "channel":
				return map[string]any{"c": make(chan int)}, nil
			case "func":
				return []any{func() {}}, nil
			case "knot":
				return loop, nil
			case "deep":
				return deep, nil
			case "large":
				return strings.Repeat("x", 100<<20), nil
			case "numbers":
				return make([]float64, 10<<20), nil
			case "own":
				return boastful(1 << 12), nil
			case "raw":
				return json.RawMessage(`{"a":`), nil
			case "fits":
				return strings.Repeat("x", 1<<10-2), nil
			case "one more":
				return strings.Repeat("x", 1<<10-1), nil
			case "html":
				return "<&>", nil
			}
			return nil, nil
		}))
	for in, want := range map[string]string{
		"nan":      "c.any: output: is not JSON: unsupported value: NaN",
		"channel":  "c.any: output: is not JSON: unsupported type: chan int",
		"func":     "c.any: output: is not JSON: unsupported type: func()",
		"knot":     "c.any: output: is nested deeper than 100, or contains itself",
		"deep":     "c.any: output: is nested deeper than 100, or contains itself",
		"large":    "c.any: output: has more than 1 KiB",
		"numbers":  "c.any: output: has more than 1 KiB",
		"own":      "c.any: output: has 4098 bytes, more than 1 KiB",
		"raw":      "c.any: output: is not JSON: json: error calling MarshalJSON for type json.RawMessage: unexpected end of JSON input",
		"one more": "c.any: output: has more than 1 KiB",
	} {
		_, err := component.Call[string, any](t.Context(), l, "c", "any", in)
		wantReason(t, err, component.ReasonOutput, want)
	}
	for in, want := range map[string]int{"fits": 1 << 10, "html": 5, "nil": 4} {
		raw, err := l.Invoke(t.Context(), "c", "any", json.RawMessage(`"`+in+`"`))
		if err != nil || len(raw) != want {
			t.Errorf("%s: %d bytes, %v; want %d", in, len(raw), err, want)
		}
	}
}

func TestLargeOutputIsRefusedBeforeItIsEncoded(t *testing.T) {
	large := map[string]any{"rows": make([][]float64, 1000)}
	for i := range 1000 {
		large["rows"].([][]float64)[i] = make([]float64, 12500) // 100 MB of values
	}
	l := methods(t, component.Config{MaxOutput: 1 << 20}, component.Method("large", func(context.Context, struct{}) (any, error) { return large, nil }))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := l.Invoke(t.Context(), "c", "large", nil)
	runtime.ReadMemStats(&after)
	wantReason(t, err, component.ReasonOutput, "c.large: output: has more than 1 MiB")
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated to refuse it", got)
	}
}

func TestInputIsContained(t *testing.T) {
	called := false
	l := methods(t, component.Config{MaxInput: 64, MaxDepth: 5},
		component.Method("m", func(context.Context, any) (bool, error) { called = true; return true, nil }),
		component.Method("own", func(_ context.Context, in ownText) (ownText, error) { return in, nil }),
		component.Method("valid", func(_ context.Context, in limits) (limits, error) { return in, nil }))
	for in, want := range map[string]string{
		`"` + strings.Repeat("x", 100) + `"`: "c.m: input: has 102 bytes, more than 64 bytes",
		`[[[[[[]]]]]]`:                       "c.m: input: /0/0/0/0/0: nested deeper than 5",
		`{`:                                  "c.m: input: is not JSON, byte 1: unexpected end of JSON input",
		"\"\xff\"":                           "c.m: input: is not UTF-8",
	} {
		_, err := l.Invoke(t.Context(), "c", "m", json.RawMessage(in))
		wantReason(t, err, component.ReasonInput, want)
	}
	if called {
		t.Error("the method was called with what it does not take")
	}
	_, err := l.Invoke(t.Context(), "c", "own", json.RawMessage(`"refuse"`))
	wantReason(t, err, component.ReasonInput, "c.own: input: refused")
	_, err = l.Invoke(t.Context(), "c", "own", json.RawMessage(`"panic"`))
	wantReason(t, err, component.ReasonPanicked, "c.own: panicked: refused")
	_, err = l.Invoke(t.Context(), "c", "valid", json.RawMessage(`{"batch": 2000}`))
	wantReason(t, err, component.ReasonInput, "c.valid: input: batch: more than 1000")
	_, err = l.Invoke(t.Context(), "c", "x", nil)
	wantReason(t, err, component.ReasonUnknown, `c.x: component c has no method "x"; did you mean "m"?`)
	_, err = l.Invoke(t.Context(), "cc", "m", nil)
	wantReason(t, err, component.ReasonUnknown, `cc.m: there is no component "cc"; did you mean "c"?`)
}

// ownText reads its own text, and may refuse it.
type ownText string

func (o *ownText) UnmarshalText(b []byte) error {
	switch *o = ownText(b); *o {
	case "refuse":
		return errors.New("refused")
	case "panic":
		panic("refused")
	}
	return nil
}

func TestPanicsAndExitsOfAMethodAreContained(t *testing.T) {
	cause := errors.New("inside")
	l := methods(t, component.Config{},
		component.Method("panic", func(context.Context, struct{}) (int, error) { panic(cause) }),
		component.Method("nil", func(context.Context, struct{}) (int, error) { panic(nil) }), //nolint:govet // that is the point
		component.Method("exit", func(context.Context, struct{}) (int, error) { runtime.Goexit(); return 0, nil }),
		component.Method("error", func(context.Context, struct{}) (int, error) { return 1, cause }))
	_, err := l.Invoke(t.Context(), "c", "panic", nil)
	wantReason(t, err, component.ReasonPanicked, "c.panic: panicked: inside")
	e, _ := errors.AsType[*component.Error](err)
	if !strings.Contains(string(e.Stack), "TestPanicsAndExits") || !errors.Is(err, cause) || !errors.Is(err, perdure.ErrPanicked) {
		t.Errorf("the error of a panic has not its stack, value or sentinel: %+v\n%s", e, e.Stack)
	}
	_, err = l.Invoke(t.Context(), "c", "nil", nil)
	wantReason(t, err, component.ReasonPanicked, "c.nil: panicked: panic called with nil argument")
	_, err = l.Invoke(t.Context(), "c", "exit", nil)
	wantReason(t, err, component.ReasonExited, "c.exit: ended its goroutine instead of returning")
	_, err = l.Invoke(t.Context(), "c", "error", nil)
	wantReason(t, err, component.ReasonFailed, "c.error: inside")
	if !errors.Is(err, cause) {
		t.Errorf("%v is not the method's error", err)
	}
}
