package redact

import "reflect"

// FieldsOf returns what an error says of itself in the shape that drivers give
// their errors of the server: a method SQLState() string, and a struct with
// fields named as *pgconn.PgError and *pq.Error name theirs. It looks at err
// alone, not at what it wraps; errors.As finds the driver's error in a chain.
// It reports false for an error without a SQLState method.
func FieldsOf(err error) (f Fields, ok bool) {
	defer func() {
		if recover() != nil { // a nil pointer in an interface, or worse
			f, ok = Fields{}, false
		}
	}()
	known, ok := err.(interface{ SQLState() string })
	if !ok {
		return Fields{}, false
	}
	f.Code = known.SQLState()
	v := reflect.ValueOf(err)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return f, true
	}
	text := func(names ...string) string {
		for _, n := range names {
			if x := v.FieldByName(n); x.IsValid() && x.Kind() == reflect.String {
				return x.String()
			}
		}
		return ""
	}
	f.Message, f.Routine = text("Message"), text("Routine")
	f.Schema, f.Table, f.Column = text("SchemaName", "Schema"), text("TableName", "Table"), text("ColumnName", "Column")
	f.DataType, f.Constraint = text("DataTypeName", "DataType"), text("ConstraintName", "Constraint")
	return f, true
}
