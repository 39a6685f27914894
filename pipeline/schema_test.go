package pipeline

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
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
	// What it refuses by a key or a word the parser refuses too, in the same place.
	src, err := os.ReadFile("testdata/good/flights.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("flights.yaml", src, nil); err != nil {
		t.Errorf("Parse of a good file = %v", err)
	}
}
