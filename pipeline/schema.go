package pipeline

import (
	"bytes"
	"encoding/json"
	"maps"
)

// SchemaID is the address of the JSON schema that Schema returns.
const SchemaID = "https://github.com/perdure/perdure/docs/pipeline.schema.json"

// Schema returns the JSON schema (draft 2020-12) of a pipeline's file, for
// editors. It is made of what [Parse] reads: a file that it refuses, Parse refuses
// too. Parse finds more: what names each other must be there, for one.
func Schema() ([]byte, error) {
	root := objectSchema(fileFields())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = SchemaID
	root["title"] = "Pipeline of perdure"
	root["$defs"] = map[string]any{
		"param": objectSchema(paramFields()), "secret": objectSchema(secretFields()), "step": objectSchema(stepFields()),
		"retry": objectSchema(retryFields()), "backoff": objectSchema(backoffFields()),
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(root)
	return b.Bytes(), err
}

func objectSchema(fields []field) map[string]any {
	properties := make(map[string]any, len(fields))
	var required []string
	for _, f := range fields {
		p := map[string]any{"description": f.doc}
		maps.Copy(p, f.schema)
		properties[f.name] = p
		if f.required {
			required = append(required, f.name)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}
