package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParamType is the type of a parameter.
type ParamType string

// The types of parameters.
const (
	ParamString ParamType = "string"
	ParamInt    ParamType = "int" // at most 2⁵³ either way, which every reader of JSON keeps
	ParamFloat  ParamType = "float"
	ParamBool   ParamType = "bool"
	ParamDate   ParamType = "date" // YYYY-MM-DD
	ParamPath   ParamType = "path" // of a file or a directory; see the function Path for what a relative one means
	ParamList   ParamType = "list" // of anything
)

// paramAny is the type of a parameter of which only the value is known. No file
// can have it.
const paramAny ParamType = "\x00any"

func paramTypes() []string {
	return []string{"string", "int", "float", "bool", "date", "path", "list"}
}

// Param is a parameter of a pipeline.
type Param struct {
	// Name is 1–100 of [A-Za-z0-9_], and does not begin with a digit.
	Name string
	// Type of its value. Empty means string.
	Type ParamType
	// Default is its value, as JSON, if a run is given none. Nil means that every
	// run must be given one.
	Default json.RawMessage
	// Doc says in a sentence what it is.
	Doc string
}

const maxInt = 1 << 53

// check returns value as it is kept, or what is wrong with it.
func (t ParamType) check(value json.RawMessage) (json.RawMessage, error) {
	v, err := decodeJSON(value)
	if err != nil {
		return nil, err
	}
	wrong := func() (json.RawMessage, error) {
		return nil, fmt.Errorf("%s is %s, want %s", short(string(value)), kindOf(bytes.TrimSpace(value)), t.want())
	}
	switch t {
	case paramAny:
	case ParamList:
		if _, ok := v.([]any); !ok {
			return wrong()
		}
	case ParamBool:
		if _, ok := v.(bool); !ok {
			return wrong()
		}
	case ParamInt:
		n, ok := v.(json.Number)
		if !ok {
			return wrong()
		}
		i, err := strconv.ParseInt(n.String(), 10, 64)
		if err != nil || i > maxInt || i < -maxInt {
			return nil, fmt.Errorf("%s is not a whole number of at most 2^53", short(n.String()))
		}
	case ParamFloat:
		n, ok := v.(json.Number)
		if !ok {
			return wrong()
		}
		if f, err := strconv.ParseFloat(n.String(), 64); err != nil || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s is not a number that fits 64 bits", short(n.String()))
		}
	default:
		s, ok := v.(string)
		if !ok {
			return wrong()
		}
		if err := t.checkText(s); err != nil {
			return nil, err
		}
	}
	return marshal(v)
}

func (t ParamType) want() string {
	switch t { //nolint:exhaustive // the others are texts
	case ParamInt:
		return "a whole number"
	case ParamFloat:
		return "a number"
	case ParamBool:
		return "true or false"
	case ParamDate:
		return "a date such as 2001-12-31"
	case ParamList:
		return "a list"
	}
	return "a string"
}

func (t ParamType) checkText(s string) error {
	switch {
	case strings.ContainsRune(s, 0):
		return errors.New("has a NUL byte")
	case t == ParamPath && s == "":
		return errors.New("is empty, want a path")
	case t == ParamDate:
		if d, err := time.Parse(time.DateOnly, s); err != nil || d.Year() < 1 {
			return fmt.Errorf("%q is no date, want one such as 2001-12-31", short(s))
		}
	}
	return nil
}

// ParseParam returns a value from its text, as a command line has it: a list
// as JSON or as texts with commas in between. A relative path starts at the working directory of the
// process, as whoever types it expects, and is made absolute.
func (t ParamType) ParseParam(text string) (json.RawMessage, error) {
	switch t { //nolint:exhaustive // the others are texts
	case ParamInt, ParamFloat, ParamBool:
		value, err := t.check(json.RawMessage(text))
		if err != nil {
			return nil, fmt.Errorf("%q is not %s", short(text), t.want())
		}
		return value, nil
	case ParamList:
		if strings.HasPrefix(strings.TrimSpace(text), "[") {
			return t.check(json.RawMessage(text))
		}
		if text == "" {
			return json.RawMessage("[]"), nil
		}
		return marshal(strings.Split(text, ","))
	}
	if t == ParamPath && text != "" {
		var err error
		if text, err = filepath.Abs(text); err != nil {
			return nil, err
		}
	}
	value, err := marshal(text)
	if err != nil {
		return nil, err
	}
	return t.check(value)
}

// Values returns all parameters of a run that is given these, with the defaults
// of the others. It fails, with all faults joined, when one is unknown, missing
// or of another type.
func (d Definition) Values(given map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage, len(d.Params))
	var faults []error
	names := make([]string, 0, len(d.Params))
	for _, p := range d.Params {
		names = append(names, p.Name)
		value, ok := given[p.Name]
		switch {
		case !ok && p.Default == nil:
			faults = append(faults, fmt.Errorf("params.%s: missing, and it has no default; want %s", p.Name, p.Type.want()))
			continue
		case !ok:
			value = p.Default
		}
		checked, err := p.Type.check(value)
		if err != nil {
			faults = append(faults, fmt.Errorf("params.%s: %w", p.Name, err))
			continue
		}
		out[p.Name] = checked
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			faults = append(faults, fmt.Errorf("params.%s: the pipeline has no such parameter%s", short(name), didYouMean(name, names)))
		}
	}
	return out, errors.Join(faults...)
}
