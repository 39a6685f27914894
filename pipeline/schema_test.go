package pipeline

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"
)

// TestTheSchemaIsTheParsers holds docs/pipeline.schema.json to the parser: -update writes it.
func TestTheSchemaIsTheParsers(t *testing.T) {
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../docs/pipeline.schema.json", string(got))
	var schema struct {
		shape

		Defs map[string]shape `json:"$defs"`
	}
	if err := json.Unmarshal(got, &schema); err != nil {
		t.Fatal(err)
	}
	if len(schema.Defs) != 5 || !slices.Equal(schema.Required, []string{"name", "steps"}) {
		t.Errorf("the schema has %d definitions and requires %v", len(schema.Defs), schema.Required)
	}
	var full jsonschema.Schema
	if err := json.Unmarshal(got, &full); err != nil {
		t.Fatal(err)
	}
	resolved, err := full.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	// What the parser reads the schema allows, and most of what the schema can
	// refuse is among the broken files.
	if err := resolved.Validate(yamlValue(t, "testdata/good/flights.yaml")); err != nil {
		t.Errorf("the schema refuses a good file: %v", err)
	}
	src, err := os.ReadFile("testdata/good/flights.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("flights.yaml", src, nil); err != nil {
		t.Errorf("Parse of a good file = %v", err)
	}
	for _, name := range []string{"unknown-keys", "wrong-types", "bad-names", "bad-retry", "bad-durations", "no-steps", "steps-empty", "missing-uses", "list"} {
		if resolved.Validate(yamlValue(t, "testdata/broken/"+name+".yaml")) == nil {
			t.Errorf("the schema allows %s.yaml", name)
		}
	}
}

func yamlValue(t *testing.T, file string) any {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}
