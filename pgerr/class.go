package pgerr

// classVerdict judges a well-formed code that the table lacks by its class. It
// leans to the safe side: a class whose codes differ in what they allow gets
// the answer that repeats least and claims least.
//
//   - 08, 57: the session may be gone, what was in flight is unknown.
//   - 40: run the transaction again, yet the effect is unknown: 40003 shows
//     that the class has codes that do not mean rolled back.
//   - 53: refused for now; 72: never, the snapshot is not known to be the cause.
//   - HV: never, with the remote's part unknown.
//   - Every other known class: never, refused.
//   - A class that PostgreSQL does not have (RAISE with an ERRCODE of one's own,
//     another product's server): unknown, never, effect unknown.
func classVerdict(code string) Verdict {
	v := Verdict{SQLState: code}
	switch code[:2] {
	case "00", "01", "02": // success, warnings, no data: nothing failed
		v.Category = CategoryUnknown
	case "08":
		v.Category, v.Severity, v.Retry = CategoryConnection, SeverityHigh, RetryReconnect
		v.Effect, v.Trips = EffectUnknown, ScopeDatabase
	case "03", "0A", "2B", "3F", "42":
		v.Category, v.Severity = CategorySyntax, SeverityMedium
	case "09", "0Z", "20", "2F", "38", "39", "P0":
		v.Category, v.Severity = CategoryRaised, SeverityMedium
	case "0F", "10", "21", "22":
		v.Category = CategoryData
	case "23", "27", "44":
		v.Category = CategoryConstraint
	case "0B", "24", "25", "26", "2D", "34", "3B":
		v.Category, v.Severity = CategoryTransaction, SeverityMedium
	case "0L", "0P", "28":
		v.Category, v.Severity = CategoryPermission, SeverityHigh
	case "3D":
		v.Category, v.Severity = CategoryConfiguration, SeverityHigh
	case "40":
		v.Category, v.Severity, v.Retry, v.Effect = CategoryTransient, SeverityMedium, RetryTransaction, EffectUnknown
	case "53":
		v.Category, v.Severity, v.Retry, v.Trips = CategoryResource, SeverityHigh, RetryWait, ScopeOperation
	case "54":
		v.Category, v.Severity = CategoryResource, SeverityMedium
	case "55":
		v.Category, v.Severity = CategoryLock, SeverityMedium
	case "57":
		v.Category, v.Severity, v.Retry = CategoryShutdown, SeverityHigh, RetryReconnect
		v.Effect, v.Trips = EffectUnknown, ScopeDatabase
	case "58", "XX":
		v.Category, v.Severity, v.Trips = CategoryInternal, SeverityCritical, ScopeOperation
	case "72":
		v.Category, v.Severity = CategoryTransient, SeverityMedium
	case "F0":
		v.Category, v.Severity, v.Trips = CategoryConfiguration, SeverityCritical, ScopeOperation
	case "HV":
		v.Category, v.Severity, v.Effect = CategoryForeign, SeverityMedium, EffectUnknown
	default:
		v.Severity, v.Effect = SeverityMedium, EffectUnknown
	}
	return v
}

// unknown is the verdict on an error that gives no evidence. Its effect is
// unknown, unlike that of the zero Verdict: nothing says that nothing happened.
func unknown() Verdict { return Verdict{Effect: EffectUnknown} }
