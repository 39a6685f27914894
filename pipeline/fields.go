package pipeline

// field is a key of the file: the parser knows it from here, and the JSON
// schema is made of it.
type field struct {
	name     string
	doc      string
	schema   map[string]any
	required bool
}

const (
	namePattern     = "^[A-Za-z0-9._-]{1,100}$"
	idPattern       = "^[A-Za-z_][A-Za-z0-9_]{0,99}$"
	usesPattern     = `^[A-Za-z0-9._-]{1,100}\.[A-Za-z0-9_-]{1,100}$`
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
)

func textSchema() map[string]any { return map[string]any{"type": "string"} }

func patternSchema(pattern string) map[string]any {
	return map[string]any{"type": "string", "pattern": pattern}
}

func countSchema() map[string]any { return map[string]any{"type": "integer", "minimum": 1} }

func wordsSchema(words ...string) map[string]any {
	return map[string]any{"type": "string", "enum": words}
}

func refSchema(name string) map[string]any { return map[string]any{"$ref": "#/$defs/" + name} }

func listSchema(of map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": of}
}

func mapSchema(keys string, of map[string]any) map[string]any {
	return map[string]any{"type": "object", "patternProperties": map[string]any{keys: of}, "additionalProperties": false}
}

func fileFields() []field {
	steps := listSchema(refSchema("step"))
	steps["minItems"] = 1
	return []field{
		{"name", "The name of the pipeline.", patternSchema(namePattern), true},
		{"description", "What the pipeline is for.", textSchema(), false},
		{"key", "Names the run by its parameters: the same key is the same run, and what it did stays done. Without it each start is a new run.", textSchema(), false},
		{"params", "What a run is given, by name.", mapSchema(idPattern, refSchema("param")), false},
		{"secrets", "What ${secrets.NAME} stands for, by name.", mapSchema(idPattern, refSchema("secret")), false},
		{"parallel", "The most steps, or items of steps, that run at once. Default 4.", countSchema(), false},
		{"steps", "The steps, in any order.", steps, true},
	}
}

func paramFields() []field {
	return []field{
		{"type", "The type of its value. Default string. A date is YYYY-MM-DD.", wordsSchema(paramTypes()...), false},
		{"default", "Its value if a run is given none. Without it every run must be given one.", map[string]any{}, false},
		{"description", "What it is.", textSchema(), false},
	}
}

func secretFields() []field {
	return []field{
		{"env", "The environment variable that has it.", textSchema(), false},
		{"file", "The file that has it, by its absolute path.", textSchema(), false},
	}
}

func stepFields() []field {
	return []field{
		{"name", "The name of the step, unique in the file.", patternSchema(namePattern), true},
		{"description", "What the step does.", textSchema(), false},
		{"uses", "The method that does the work: COMPONENT.METHOD.", patternSchema(usesPattern), true},
		{"with", "The input of the method. Its texts may have references: ${params.NAME}, ${steps.NAME.output.PATH}, ${item.PATH}, ${run.id}, ${secrets.NAME}.", map[string]any{"type": "object"}, false},
		{"needs", "Steps that must be done before this one. Those whose output it refers to need not be named.", listSchema(patternSchema(namePattern)), false},
		{"when", "A condition over params, steps and run, in expr-lang. If it is false the step is omitted, and those that need it go on.", textSchema(), false},
		{"foreach", "A list, or one reference to a list: the step runs once for each element, which is ${item}.", map[string]any{"type": []string{"array", "string"}}, false},
		{"parallel", "The most items that run at once.", countSchema(), false},
		{"timeout", "Ends one try of the step, such as 10m.", patternSchema(durationPattern), false},
		{"retry", "What is tried again, and when.", refSchema("retry"), false},
	}
}

func retryFields() []field {
	duration := patternSchema(durationPattern)
	return []field{
		{"runs", "The most times that the step is run when it gives up and says that another try makes sense. Default 3.", countSchema(), false},
		{"delay", "The wait before another run, if the step does not say when. Default 1s.", duration, false},
		{"attempts", "The most attempts of each operation within the step. Default that of the database's policy.", countSchema(), false},
		{"attempt_timeout", "Ends one attempt of an operation.", duration, false},
		{"elapsed", "How long after its start an operation may still begin a repeat.", duration, false},
		{"park", "How long an operation waits for a database that is down, instead of failing.", duration, false},
		{"backoff", "The delays after transient trouble.", refSchema("backoff"), false},
		{"contention", "The delays after deadlocks and serialization failures.", refSchema("backoff"), false},
		{"overload", "The delays after the server lacked a resource.", refSchema("backoff"), false},
		{"on", "Only these categories of errors are repeated.", listSchema(wordsSchema(categories()...)), false},
	}
}

func backoffFields() []field {
	duration := patternSchema(durationPattern)
	return []field{
		{"strategy", "How the delays grow. Default exponential.", wordsSchema("exponential", "linear", "constant", "fibonacci"), false},
		{"initial", "The first delay. Default 50ms.", duration, false},
		{"max", "The longest delay. Default 20s.", duration, false},
		{"multiplier", "The factor of the exponential strategy. Default 2.", map[string]any{"type": "number", "minimum": 1}, false},
		{"jitter", "How much of a delay is left to chance. Default full.", wordsSchema("full", "equal", "none"), false},
	}
}

func fieldNames(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}
