package config

import (
	"reflect"
	"strings"
)

// fieldOf is a field of a struct that the file can set.
type fieldOf struct {
	name  string // its key
	index []int
	field reflect.StructField
}

// fieldsOf returns the fields of t by their yaml tags, those of inlined structs
// among them.
func fieldsOf(t reflect.Type) []fieldOf {
	var all []fieldOf
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
			}
		case name != "" && name != "-":
			all = append(all, fieldOf{name: name, index: []int{i}, field: f})
		}
	}
	return all
}

// nearest returns the name that a person may have meant, or "".
func nearest(got string, names []string) string {
	best, limit := "", max(1, len(got)/3)
	for _, name := range names {
		if d := distance(got, name); d <= limit {
			best, limit = name, d-1
		}
	}
	return best
}

// distance is the number of characters to insert, delete or replace to make a of
// b (Levenshtein 1966).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Key is a key of the file, for the documentation.
type Key struct {
	Name string
	Type reflect.Type
	// Owner is the type whose field it is, as package.Type.
	Owner string
}

// Keys returns the keys of a struct of the configuration.
func Keys(t reflect.Type) []Key {
	var all []Key
	for _, f := range fieldsOf(t) {
		owner := t
		if len(f.index) > 1 { // it is inlined
			owner = t.Field(f.index[0]).Type
		}
		all = append(all, Key{Name: f.name, Type: f.field.Type, Owner: owner.String()})
	}
	return all
}
