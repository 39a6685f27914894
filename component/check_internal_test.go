package component

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"pgregory.net/rapid"
)

// color is a type with a schema of its own.
type color string

func (color) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type": "string", "enum": ["red", "green"]}`)
}

type share float64

func (share) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type": "number", "minimum": 0, "exclusiveMaximum": 1}`)
}

type day string

func (day) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type": "string", "minLength": 10, "maxLength": 10, "pattern": "^\\d+-\\d+-\\d+$"}`)
}

type common struct {
	Note string `json:"note,omitempty"`
}

type item struct {
	ID    int      `json:"id"`
	Tags  []string `json:"tags,omitempty"`
	Small uint8    `json:"small,omitempty"`
}

type everything struct {
	common
	Items  []item            `json:"items"`
	Color  color             `json:"color,omitempty"`
	Maybe  *color            `json:"maybe,omitempty"`
	Share  share             `json:"share,omitempty"`
	Day    day               `json:"day,omitempty"`
	Map    map[string]int    `json:"map,omitempty"`
	Raw    json.RawMessage   `json:"raw,omitempty"`
	RawPtr *json.RawMessage  `json:"raw_ptr,omitempty"`
	Any    any               `json:"any,omitempty"`
	Bytes  []byte            `json:"bytes,omitempty"`
	When   time.Time         `json:"when,omitzero"`
	Addr   netip.Addr        `json:"addr,omitzero"`
	Number json.Number       `json:"number,omitempty"`
	Big    *big.Int          `json:"big,omitempty"`
	Pair   [2]int            `json:"pair,omitzero"`
	Nested map[string][]item `json:"nested,omitempty"`
	Uint   uint64            `json:"uint,omitempty"`
	Flag   bool              `json:"flag,omitempty"`
	Float  float64           `json:"float,omitempty"`
	Slash  int               `json:"a/b~c,omitempty"`
	hidden int
}

func formatOf[T any](t *testing.T) *format {
	t.Helper()
	f, err := formatFor[T](true)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCheckNamesThePlaceOfEachFault(t *testing.T) {
	f := formatOf[everything](t)
	for _, test := range []struct{ name, in, want string }{
		{"all is well", `{"items": [{"id": 1, "tags": ["a", "b"]}], "note": "n", "color": "red", "share": 0.5, "day": "2025-01-31"}`, ""},
		{"anything goes where anything may", `{"items": null, "any": [1, {"a": null}], "raw": {"x": [true]}, "raw_ptr": 7, "maybe": null}`, ""},
		{
			"types with their own text",
			`{"items": [], "when": "2025-01-31T00:00:00Z", "addr": "10.0.0.1", "number": 1e5, "big": 123456789012345678901234567890, "bytes": "YQ=="}`,
			"",
		},
		{"the largest integers", `{"items": [{"id": -9223372036854775808}], "uint": 18446744073709551615}`, ""},
		{"a string for an integer", `{"items": [{"id": 1}, {"id": 2}, {"id": 3}, {"id": "4"}]}`, "/items/3/id: want integer, got string"},
		{"a fraction for an integer", `{"items": [{"id": 1.0}]}`, "/items/0/id: want integer, got number"},
		{"an exponent for an integer", `{"items": [{"id": 1e3}]}`, "/items/0/id: want integer, got number"},
		{"an integer beyond 64 bits", `{"items": [{"id": 9223372036854775808}]}`, "/items/0/id: is out of the range of a 64-bit integer"},
		{"an unsigned integer beyond 64 bits", `{"items": [], "uint": 18446744073709551616}`, "/uint: is out of the range of a 64-bit integer"},
		{"a number beyond a float", `{"items": [], "float": 1e999}`, "/float: is out of the range of a number"},
		{"an integer out of bounds", `{"items": [{"id": 1, "small": 256}]}`, "/items/0/small: is more than 255"},
		{"a missing key", `{}`, "/items: is required"},
		{"a missing key inside", `{"items": [{}]}`, "/items/0/id: is required"},
		{"an unknown key", `{"items": [], "colour": "red"}`, `/colour: unknown key; did you mean "color"?`},
		{"a key in another case", `{"items": [], "Color": "red"}`, `/Color: unknown key; did you mean "color"?`},
		{"a field that is not exported", `{"items": [], "hidden": 1}`, "/hidden: unknown key; there are: " +
			"a/b~c, addr, any, big, bytes, color, day, flag, float, items, map, maybe and 9 more"},
		{"a key that is there twice", `{"items": [], "items": []}`, "/items: is there twice"},
		{"a key that is there twice, once escaped", `{"items": [], "\u0069tems": []}`, "/items: is there twice"},
		{"a key to be escaped", `{"items": [], "a/b~c": "x"}`, "/a~1b~0c: want integer, got string"},
		{"not one of a list", `{"items": [], "color": "blue"}`, `/color: is not one of "red", "green"`},
		{"one of a list, escaped", `{"items": [], "color": "\u0072ed"}`, ""},
		{"too large", `{"items": [], "share": 1}`, "/share: is not less than 1"},
		{"too small", `{"items": [], "share": -0.1}`, "/share: is less than 0"},
		{"too short, and of another form", `{"items": [], "day": "2025"}`, `/day: has 4 characters, want 10 at least; /day: does not match ^\d+-\d+-\d+$`},
		{"too few items", `{"items": [], "pair": [1]}`, "/pair: has 1 items, want 2 at least"},
		{"inside a map", `{"items": [], "nested": {"x": [{"id": true}]}}`, "/nested/x/0/id: want integer, got boolean"},
		{"a type that may be null", `{"items": {}}`, "/items: want array or null, got object"},
		{"the whole is of another type", `[]`, "/: want object, got array"},
		{"two faults", `{"items": 1, "flag": 1}`, "/items: want array or null, got integer; /flag: want boolean, got integer"},
		{"nothing", ``, "is not JSON, byte 0: unexpected end of JSON input"},
		{"half an object", `{"items": [`, "is not JSON, byte 11: unexpected end of JSON input"},
		{"two values", `{"items": []} {}`, "is not JSON, byte 15: invalid character '{' after top-level value"},
		{"not UTF-8", "{\"items\": [], \"note\": \"\xff\"}", "is not UTF-8"},
		{"a hostile key", `{"items": [], "a\u0000\n\u202e": 1}`, `/a\x00\n\u202e: unknown key; there are: ` +
			"a/b~c, addr, any, big, bytes, color, day, flag, float, items, map, maybe and 9 more"},
		{"white space", " \t\r\n{ \"items\" : [ { \"id\" : 1 , \"tags\" : [ ] } , { \"id\" : 2 } ] , \"flag\" : true } \n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := f.check([]byte(test.in), 10); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("check(%s)\n got %s\nwant %s", test.in, got, test.want)
			}
			if test.want == "" {
				if _, err := decode[everything]([]byte(test.in)); err != nil {
					t.Errorf("decode: %v", err)
				}
			}
		})
	}
}

func TestCheckBoundsDepthAndFaults(t *testing.T) {
	f := formatOf[any](t)
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if err := f.check(deep(5), 5); err != nil {
		t.Errorf("check of depth 5: %v", err)
	}
	if err := f.check(deep(6), 5); err == nil || err.Error() != "/0/0/0/0/0: nested deeper than 5" {
		t.Errorf("check of depth 6 = %v", err)
	}
	if err := f.check(deep(1<<20), 5); err == nil {
		t.Error("check of depth 2^20 = nil")
	}
	g := formatOf[[]int](t)
	err := g.check([]byte("["+strings.Repeat(`"x",`, 99)+`"x"]`), 5)
	if err == nil || strings.Count(err.Error(), ";") != maxFaults || !strings.HasSuffix(err.Error(), "; and 80 more") {
		t.Errorf("check of 100 faults = %v", err)
	}
}

// drawJSON draws JSON that is near what everything takes.
func drawJSON(t *rapid.T, depth int) any {
	kinds := []string{"null", "bool", "int", "float", "string"}
	if depth > 0 {
		kinds = append(kinds, "object", "object", "array", "array")
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	case "int":
		return rapid.IntRange(-3, 300).Draw(t, "int")
	case "float":
		return float64(rapid.IntRange(-3, 3).Draw(t, "float")) + 0.5
	case "string":
		return rapid.SampledFrom([]string{"red", "green", "2025-01-31", "", "\u2028\"\\/"}).Draw(t, "string")
	case "array":
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			out = append(out, drawJSON(t, depth-1))
		}
		return out
	case "object":
		keys := []string{"items", "color", "share", "day", "map", "id", "tags", "small", "any", "pair", "nested", "uint", "flag", "float", "x"}
		out := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "size") {
			out[rapid.SampledFrom(keys).Draw(t, "key")] = drawJSON(t, depth-1)
		}
		return out
	}
	return nil
}

// The schema that is published is checked by the library's validator alike:
// what we check is what we say.
func TestCheckAgreesWithTheLibrary(t *testing.T) {
	f := formatOf[everything](t)
	var s jsonschema.Schema
	if err := json.Unmarshal(f.schema, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	fits := 0
	rapid.Check(t, func(t *rapid.T) {
		v := map[string]any{"items": []any{}}
		for range rapid.IntRange(0, 3).Draw(t, "keys") {
			key := rapid.SampledFrom([]string{"items", "color", "share", "map", "pair", "nested", "any", "maybe", "raw"}).Draw(t, "key")
			v[key] = drawJSON(t, 3)
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var again any
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		ours, theirs := f.check(raw, 10), resolved.Validate(again)
		if (ours == nil) != (theirs == nil) {
			t.Fatalf("check(%s) = %v, the library says %v", raw, ours, theirs)
		}
		if ours == nil {
			fits++
			if _, err := decode[everything](raw); err != nil {
				t.Fatalf("decode(%s): %v", raw, err)
			}
		}
	})
	if fits == 0 {
		t.Error("nothing that was drawn fits: the test says little")
	}
}

type tree struct {
	Children []tree `json:"children"`
}

type named struct {
	common `json:"common"`
}

type quoted struct {
	N int `json:"n,string"`
}

type twice struct {
	A int `json:"B"`
	B int
}

type stranger interface{ Stranger() }

type badSchema int

func (badSchema) JSONSchema() json.RawMessage { return json.RawMessage(`{"minimum": 1}`) }

type unchecked int

func (unchecked) JSONSchema() json.RawMessage {
	return json.RawMessage(`{"type": "integer", "multipleOf": 2}`)
}

func TestTypesWithoutASchemaAreRefused(t *testing.T) {
	refused := func(t *testing.T, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	_, err := formatFor[tree](true)
	refused(t, err, "cycle")
	_, err = formatFor[named](true)
	refused(t, err, "component.named.common: give the embedded field a name")
	_, err = formatFor[quoted](true)
	refused(t, err, "component.quoted.N: the option string is not supported")
	_, err = formatFor[twice](true)
	refused(t, err, `component.twice.B: another field is "B" too`)
	_, err = formatFor[map[int]string](true)
	refused(t, err, "the keys of map[int]string are not strings")
	_, err = formatFor[struct{ C chan int }](true)
	refused(t, err, "C: a chan is not JSON")
	_, err = formatFor[[]stranger](true)
	refused(t, err, "[]component.stranger[]: JSON cannot be decoded into component.stranger")
	_, err = formatFor[badSchema](true)
	refused(t, err, "has no type")
	_, err = formatFor[unchecked](true)
	refused(t, err, `unknown field "multipleOf"`)
	if _, err = formatFor[[]stranger](false); err != nil {
		t.Errorf("an output may hold interfaces: %v", err)
	}
}

// Whatever Go encodes of a type fits the type's schema.
func TestWhatATypeEncodesFitsItsSchema(t *testing.T) {
	f := formatOf[everything](t)
	red := color("red")
	for i, v := range []everything{
		{},
		{Items: []item{{}, {ID: -1, Tags: []string{""}, Small: 255}}, Maybe: &red, Color: "green", Day: "2025-01-31"},
		{Map: map[string]int{"": 0}, Bytes: []byte{0, 255}, When: time.Unix(0, 0), Addr: netip.IPv6LinkLocalAllNodes(), Number: "1.5"},
		{Big: big.NewInt(1), Pair: [2]int{1, 2}, Nested: map[string][]item{"a": nil}, Uint: 1 << 63, Any: map[string]any{"a": nil}, hidden: 1},
	} {
		raw, err := encode(v, limits{bytes: 1 << 20, depth: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.check(raw, 10); err != nil {
			t.Errorf("%d: check(%s) = %v", i, raw, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{"items": [{"id": 1}]}`, `{"items": [[[]]], "any": {"a": [1e9, "\u00e9"]}}`, `[`, `"\ud800"`, `{"":{"":1}}`} {
		f.Add([]byte(seed))
	}
	format, err := formatFor[everything](true)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		err := format.check(in, 8)
		if err == nil {
			// The schema cannot say what texts and numbers such types take, nothing else may fail.
			if _, err := decode[everything](in); err != nil && !ownText(in) {
				t.Errorf("check(%q) = nil, decode: %v", in, err)
			}
			return
		}
		if text := fmt.Sprint(err); len(text) > 1<<14 || strings.ContainsAny(text, "\n\x00") {
			t.Errorf("check(%q) = %q", in, text)
		}
	})
}

// ownText reports whether in has a field whose type reads its own text.
func ownText(in []byte) bool {
	for _, key := range []string{"when", "addr", "number", "big", "bytes", `\u`} {
		if strings.Contains(string(in), key) {
			return true
		}
	}
	return false
}
