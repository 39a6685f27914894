package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
)

// row is one line of the CSV, each value checked and turned into the name of
// its Go constant.
type row struct {
	sqlstate, condition                      string
	category, severity, retry, effect, trips string // text of the CSV, known to be a key of the map below
	messageSafe                              bool
	why                                      string
}

// header is the first line that the CSV must have.
func header() []string {
	return []string{"sqlstate", "condition", "category", "severity", "retry", "ambiguous", "trips", "message_safe", "why"}
}

// constants returns, for each column of the CSV that holds a word, the Go
// constant that stands for it.
func constants() map[string]map[string]string {
	return map[string]map[string]string{
		"category": {
			"unknown": "CategoryUnknown", "connection": "CategoryConnection", "timeout": "CategoryTimeout",
			"transient": "CategoryTransient", "lock": "CategoryLock", "resource": "CategoryResource",
			"constraint": "CategoryConstraint", "syntax": "CategorySyntax", "data": "CategoryData",
			"permission": "CategoryPermission", "configuration": "CategoryConfiguration",
			"transaction": "CategoryTransaction", "readonly": "CategoryReadOnly", "canceled": "CategoryCanceled",
			"shutdown": "CategoryShutdown", "internal": "CategoryInternal", "foreign": "CategoryForeign",
			"raised": "CategoryRaised",
		},
		"severity": {"low": "SeverityLow", "medium": "SeverityMedium", "high": "SeverityHigh", "critical": "SeverityCritical"},
		"retry": {
			"never": "RetryNever", "statement": "RetryStatement", "transaction": "RetryTransaction",
			"reconnect": "RetryReconnect", "wait": "RetryWait",
		},
		"ambiguous":    {"no": "EffectNone", "yes": "EffectUnknown"},
		"trips":        {"none": "ScopeNone", "operation": "ScopeOperation", "database": "ScopeDatabase"},
		"message_safe": {"no": "false", "yes": "true"},
	}
}

// parse reads and checks the CSV. It returns every fault that it finds, with
// its line.
func parse(source []byte) ([]row, error) {
	r := csv.NewReader(bytes.NewReader(source))
	first, err := r.Read()
	if err != nil {
		return nil, err
	}
	if !slices.Equal(first, header()) {
		return nil, fmt.Errorf("line 1: header is %q, want %q", first, header())
	}
	records, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	var rows []row
	var faults []error
	words := constants()
	for i, record := range records {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("line %d: "+format, append([]any{i + 2}, args...)...))
		}
		for column, name := range header() {
			if words[name] != nil && words[name][record[column]] == "" {
				fault("%s: unknown value %q", name, record[column])
			}
		}
		if !isCode(record[0]) {
			fault("sqlstate: %q is not five of [0-9A-Z]", record[0])
		}
		if i > 0 && records[i-1][0] >= record[0] {
			fault("sqlstate: %q does not come after %q", record[0], records[i-1][0])
		}
		if record[1] == "" || record[8] == "" {
			fault("condition and why must not be empty")
		}
		rows = append(rows, row{
			sqlstate: record[0], condition: record[1], category: record[2], severity: record[3], retry: record[4],
			effect: record[5], trips: record[6], messageSafe: record[7] == "yes", why: record[8],
		})
	}
	return rows, errors.Join(faults...)
}

func isCode(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(s) == 5
}
