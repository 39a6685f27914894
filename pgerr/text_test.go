package pgerr

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wordy is what the five kinds of constant can do.
type wordy interface {
	String() string
	MarshalText() ([]byte, error)
}

func TestWordsOfEachConstant(t *testing.T) {
	tests := []struct {
		value wordy
		want  string
	}{
		{CategoryUnknown, "unknown"},
		{CategoryConnection, "connection"},
		{CategoryTimeout, "timeout"},
		{CategoryTransient, "transient"},
		{CategoryLock, "lock"},
		{CategoryResource, "resource"},
		{CategoryConstraint, "constraint"},
		{CategorySyntax, "syntax"},
		{CategoryData, "data"},
		{CategoryPermission, "permission"},
		{CategoryConfiguration, "configuration"},
		{CategoryTransaction, "transaction"},
		{CategoryReadOnly, "readonly"},
		{CategoryCanceled, "canceled"},
		{CategoryShutdown, "shutdown"},
		{CategoryInternal, "internal"},
		{CategoryForeign, "foreign"},
		{CategoryRaised, "raised"},
		{SeverityLow, "low"},
		{SeverityMedium, "medium"},
		{SeverityHigh, "high"},
		{SeverityCritical, "critical"},
		{RetryNever, "never"},
		{RetryStatement, "statement"},
		{RetryTransaction, "transaction"},
		{RetryReconnect, "reconnect"},
		{RetryWait, "wait"},
		{EffectNone, "none"},
		{EffectUnknown, "unknown"},
		{ScopeNone, "none"},
		{ScopeOperation, "operation"},
		{ScopeDatabase, "database"},
	}
	for _, tt := range tests {
		if got := tt.value.String(); got != tt.want {
			t.Errorf("%T.String() = %q, want %q", tt.value, got, tt.want)
		}
		if got, err := tt.value.MarshalText(); err != nil || string(got) != tt.want {
			t.Errorf("%T.MarshalText() = %q, %v; want %q", tt.value, got, err, tt.want)
		}
	}
}

func TestVerdictSurvivesJSON(t *testing.T) {
	for e := range All() {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var got Entry
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Errorf("%s came back changed (-want +got):\n%s", e.SQLState, diff)
		}
	}
}

func TestUnknownWordsAndValuesAreErrors(t *testing.T) {
	for _, v := range []struct {
		value wordy
		want  string
	}{
		{Category(18), "Category(18)"},
		{Severity(4), "Severity(4)"},
		{Retry(5), "Retry(5)"},
		{Effect(2), "Effect(2)"},
		{Scope(3), "Scope(3)"},
	} {
		if got := v.value.String(); got != v.want {
			t.Errorf("String() = %q, want %q", got, v.want)
		}
		if text, err := v.value.MarshalText(); err == nil {
			t.Errorf("%s.MarshalText() = %q, want an error", v.want, text)
		}
	}
	category, severity, retry, effect, scope := CategoryData, SeverityHigh, RetryWait, EffectUnknown, ScopeDatabase
	for _, to := range []interface{ UnmarshalText([]byte) error }{&category, &severity, &retry, &effect, &scope} {
		for _, text := range []string{"", "High", "odd"} {
			if err := to.UnmarshalText([]byte(text)); err == nil {
				t.Errorf("%T.UnmarshalText(%q) succeeded", to, text)
			}
		}
	}
	if category != CategoryData || severity != SeverityHigh || retry != RetryWait || effect != EffectUnknown || scope != ScopeDatabase {
		t.Error("a failed UnmarshalText changed its value")
	}
}
