package pgerr

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestClassifyFieldsBySeverityRoutineAndMessage(t *testing.T) {
	foreign := func(code string, retry Retry) Verdict {
		return Verdict{code, CategoryForeign, SeverityHigh, retry, EffectNone, ScopeNone}
	}
	tests := []struct {
		name   string
		fields Fields
		want   Verdict
	}{
		{
			"08006 FATAL is this session's end",
			Fields{SQLState: "08006", Severity: "FATAL"},
			Verdict{"08006", CategoryConnection, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase},
		},
		{"08000 ERROR is a remote server's", Fields{SQLState: "08000", Severity: "ERROR"}, foreign("08000", RetryNever)},
		{"08001 ERROR is a remote server that cannot be reached", Fields{SQLState: "08001", Severity: "ERROR"}, foreign("08001", RetryWait)},
		{"08003 ERROR is a remote session that is not there", Fields{SQLState: "08003", Severity: "ERROR"}, foreign("08003", RetryNever)},
		{"08004 ERROR is a remote server that refused", Fields{SQLState: "08004", Severity: "ERROR"}, foreign("08004", RetryWait)},
		{"08006 ERROR is a remote session lost, not repeated", Fields{SQLState: "08006", Severity: "ERROR"}, foreign("08006", RetryNever)},
		{
			"08007 ERROR stays in doubt",
			Fields{SQLState: "08007", Severity: "ERROR"},
			Verdict{"08007", CategoryForeign, SeverityCritical, RetryNever, EffectUnknown, ScopeNone},
		},
		{"an unknown 08 ERROR is a remote server's", Fields{SQLState: "08ZZZ", Severity: "ERROR"}, foreign("08ZZZ", RetryNever)},
		{
			"08P01 ERROR is a driver's fault",
			Fields{SQLState: "08P01", Severity: "ERROR"},
			Verdict{"08P01", CategoryConnection, SeverityHigh, RetryNever, EffectNone, ScopeNone},
		},
		{
			"08P01 FATAL loses the session",
			Fields{SQLState: "08P01", Severity: "FATAL", Message: "invalid frontend message type 1"},
			Verdict{"08P01", CategoryConnection, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase},
		},
		{
			"08P01 PgBouncer has no server for the query",
			Fields{SQLState: "08P01", Severity: "FATAL", Message: "query_wait_timeout"},
			Verdict{"08P01", CategoryConnection, SeverityHigh, RetryWait, EffectNone, ScopeDatabase},
		},
		{
			"08P01 PgBouncer is full",
			Fields{SQLState: "08P01", Severity: "FATAL", Message: "no more connections allowed (max_client_conn)"},
			Verdict{"08P01", CategoryConnection, SeverityHigh, RetryWait, EffectNone, ScopeNone},
		},
		{
			"08P01 the same words in an ERROR change nothing",
			Fields{SQLState: "08P01", Severity: "ERROR", Message: "query_wait_timeout"},
			Verdict{"08P01", CategoryConnection, SeverityHigh, RetryNever, EffectNone, ScopeNone},
		},
		{
			"0A000 of a stale cached plan",
			Fields{SQLState: "0A000", Severity: "ERROR", Routine: "RevalidateCachedQuery"},
			Verdict{"0A000", CategorySyntax, SeverityLow, RetryStatement, EffectNone, ScopeNone},
		},
		{
			"0A000 of anything else",
			Fields{SQLState: "0A000", Severity: "ERROR", Message: "cached plan must not change result type"},
			Verdict{"0A000", CategorySyntax, SeverityLow, RetryNever, EffectNone, ScopeNone},
		},
		{
			"55000 of a standby",
			Fields{SQLState: "55000", Severity: "ERROR", Message: "recovery is in progress"},
			Verdict{"55000", CategoryReadOnly, SeverityHigh, RetryReconnect, EffectNone, ScopeDatabase},
		},
		{
			"55000 of anything else",
			Fields{SQLState: "55000", Severity: "ERROR", Message: "recovery is not in progress"},
			Verdict{"55000", CategoryLock, SeverityMedium, RetryNever, EffectNone, ScopeNone},
		},
		{
			"57014 after a time limit",
			Fields{SQLState: "57014", Severity: "ERROR", Message: "canceling statement due to statement timeout"},
			Verdict{"57014", CategoryTimeout, SeverityMedium, RetryStatement, EffectNone, ScopeOperation},
		},
		{
			"57014 on somebody's request",
			Fields{SQLState: "57014", Severity: "ERROR", Message: "canceling statement due to user request"},
			Verdict{"57014", CategoryCanceled, SeverityLow, RetryNever, EffectNone, ScopeNone},
		},
		{
			"58P01 of a missing extension library",
			Fields{SQLState: "58P01", Severity: "ERROR", Routine: "internal_load_library"},
			Verdict{"58P01", CategoryConfiguration, SeverityHigh, RetryNever, EffectNone, ScopeNone},
		},
		{
			"58P01 of a missing data file",
			Fields{SQLState: "58P01", Severity: "ERROR", Routine: "mdopenfork"},
			Verdict{"58P01", CategoryInternal, SeverityCritical, RetryNever, EffectNone, ScopeOperation},
		},
		{
			"PANIC takes the server down, whatever the code",
			Fields{SQLState: "53100", Severity: "PANIC"},
			Verdict{"53100", CategoryResource, SeverityCritical, RetryWait, EffectUnknown, ScopeDatabase},
		},
		{
			"a notice before the connection ends",
			Fields{SQLState: "57P02", Severity: "WARNING"},
			Verdict{"57P02", CategoryShutdown, SeverityCritical, RetryReconnect, EffectUnknown, ScopeDatabase},
		},
		{
			"a translated severity decides nothing",
			Fields{SQLState: "08006", Severity: "FEHLER"},
			Verdict{"08006", CategoryConnection, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase},
		},
		{"no code", Fields{Severity: "FATAL", Message: "query_wait_timeout"}, Verdict{Effect: EffectUnknown}},
		{"lower case is no code", Fields{SQLState: "40p01"}, Verdict{Effect: EffectUnknown}},
		{"six characters are no code", Fields{SQLState: "400010"}, Verdict{Effect: EffectUnknown}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ClassifyFields(tt.fields)); diff != "" {
				t.Errorf("ClassifyFields(%+v) (-want +got):\n%s", tt.fields, diff)
			}
		})
	}
}

func TestUnknownCodeIsJudgedByItsClass(t *testing.T) {
	tests := []struct {
		codes string // each class with an ending that no table has
		want  Verdict
	}{
		{"00 01 02", Verdict{}},
		{"08", Verdict{"", CategoryConnection, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase}},
		{"03 0A 2B 3F 42", Verdict{"", CategorySyntax, SeverityMedium, RetryNever, EffectNone, ScopeNone}},
		{"09 0Z 20 2F 38 39 P0", Verdict{"", CategoryRaised, SeverityMedium, RetryNever, EffectNone, ScopeNone}},
		{"0F 10 21 22", Verdict{"", CategoryData, SeverityLow, RetryNever, EffectNone, ScopeNone}},
		{"23 27 44", Verdict{"", CategoryConstraint, SeverityLow, RetryNever, EffectNone, ScopeNone}},
		{"0B 24 25 26 2D 34 3B", Verdict{"", CategoryTransaction, SeverityMedium, RetryNever, EffectNone, ScopeNone}},
		{"0L 0P 28", Verdict{"", CategoryPermission, SeverityHigh, RetryNever, EffectNone, ScopeNone}},
		{"3D", Verdict{"", CategoryConfiguration, SeverityHigh, RetryNever, EffectNone, ScopeNone}},
		{"40", Verdict{"", CategoryTransient, SeverityMedium, RetryTransaction, EffectUnknown, ScopeNone}},
		{"53", Verdict{"", CategoryResource, SeverityHigh, RetryWait, EffectNone, ScopeOperation}},
		{"54", Verdict{"", CategoryResource, SeverityMedium, RetryNever, EffectNone, ScopeNone}},
		{"55", Verdict{"", CategoryLock, SeverityMedium, RetryNever, EffectNone, ScopeNone}},
		{"57", Verdict{"", CategoryShutdown, SeverityHigh, RetryReconnect, EffectUnknown, ScopeDatabase}},
		{"58 XX", Verdict{"", CategoryInternal, SeverityCritical, RetryNever, EffectNone, ScopeOperation}},
		{"72", Verdict{"", CategoryTransient, SeverityMedium, RetryNever, EffectNone, ScopeNone}},
		{"F0", Verdict{"", CategoryConfiguration, SeverityCritical, RetryNever, EffectNone, ScopeOperation}},
		{"HV", Verdict{"", CategoryForeign, SeverityMedium, RetryNever, EffectUnknown, ScopeNone}},
		{"CR MY 99", Verdict{"", CategoryUnknown, SeverityMedium, RetryNever, EffectUnknown, ScopeNone}},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		for i := 0; i < len(tt.codes); i += 3 {
			class := tt.codes[i : i+2]
			seen[class] = true
			want := tt.want
			want.SQLState = class + "Q9Z"
			if got := ClassifyFields(Fields{SQLState: want.SQLState}); got != want {
				t.Errorf("ClassifyFields(%s) = %+v, want %+v", want.SQLState, got, want)
			}
		}
	}
	for e := range All() {
		if !seen[e.SQLState[:2]] {
			t.Errorf("class %s of the table has no fallback here", e.SQLState[:2])
		}
	}
}

// An unknown code of a class must never allow more than the class's known
// codes do: where the table says never for all of them, so does the fallback.
func TestFallbackAllowsNoMoreThanItsClass(t *testing.T) {
	allows := map[string]map[Retry]bool{}
	for e := range All() {
		class := e.SQLState[:2]
		if allows[class] == nil {
			allows[class] = map[Retry]bool{RetryNever: true}
		}
		allows[class][e.Retry] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.StringMatching(`[0-9A-Z]{5}`).Draw(t, "code")
		v := ClassifyFields(Fields{SQLState: code})
		if v.SQLState != code {
			t.Fatalf("ClassifyFields(%s).SQLState = %q", code, v.SQLState)
		}
		if v.Retry != RetryNever && !allows[code[:2]][v.Retry] {
			t.Fatalf("ClassifyFields(%s) = retry %v, which no code of its class has", code, v.Retry)
		}
	})
}

// checkVerdict holds what is true of every verdict, whatever was classified.
func checkVerdict(tb testing.TB, v Verdict) {
	tb.Helper()
	for _, c := range []wordy{v.Category, v.Severity, v.Retry, v.Effect, v.Trips} {
		if _, err := c.MarshalText(); err != nil {
			tb.Errorf("verdict %+v: %v", v, err)
		}
	}
	if v.SQLState != "" && !isSQLState(v.SQLState) {
		tb.Errorf("verdict %+v: not a SQLSTATE", v)
	}
	if c := v.Category; (c == CategoryUnknown || c == CategoryCanceled) && v.Retry != RetryNever {
		tb.Errorf("verdict %+v: %v is repeated", v, c)
	}
	if v.Category == CategoryForeign && v.Trips == ScopeDatabase && v.Severity != SeverityCritical {
		tb.Errorf("verdict %+v: a remote server is evidence against this database", v)
	}
}

func FuzzClassifyFields(f *testing.F) {
	for e := range All() {
		f.Add(e.SQLState, "ERROR", "RevalidateCachedQuery", "recovery is in progress")
	}
	f.Add("08P01", "FATAL", "", "query_wait_timeout")
	f.Add("57014", "ERROR", "ProcessInterrupts", "canceling statement due to user request")
	f.Add("\xff\x00", "PANIC", "", "")
	f.Fuzz(func(t *testing.T, code, severity, routine, message string) {
		v := ClassifyFields(Fields{SQLState: code, Severity: severity, Routine: routine, Message: message})
		checkVerdict(t, v)
		if (v.SQLState == "") == isSQLState(code) {
			t.Errorf("ClassifyFields(%q).SQLState = %q", code, v.SQLState)
		}
	})
}
