package perdureotel

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/pgerr"
)

// The attributes that the semantic conventions do not know. Durations are in
// seconds.
const (
	ManagerKey       = attribute.Key("perdure.manager")        // Config.Name of the Manager
	AttemptKey       = attribute.Key("perdure.attempt")        // number of an attempt, from 1
	AttemptsKey      = attribute.Key("perdure.attempts")       // attempts that a call took
	WaitedKey        = attribute.Key("perdure.waited")         // before a repeat: its delay and parked time
	ParkedKey        = attribute.Key("perdure.parked")         // time that a call waited for breakers and budget
	OutcomeKey       = attribute.Key("perdure.outcome")        // of a call: succeeded, recovered, failed
	ReasonKey        = attribute.Key("perdure.reason")         // why a call gave up, or a breaker changed
	CategoryKey      = attribute.Key("perdure.category")       // of the last error
	SeverityKey      = attribute.Key("perdure.severity")       // of the last error
	CorrelationIDKey = attribute.Key("perdure.correlation_id") // of a call
	BreakerKey       = attribute.Key("perdure.breaker")        // an operation's name, or "database"
	FromKey          = attribute.Key("perdure.from")           // state of a breaker before a change
	ToKey            = attribute.Key("perdure.to")             // state of a breaker after a change
	HeldKey          = attribute.Key("perdure.held")           // whether a person holds a breaker: no, open, closed
	ResolutionKey    = attribute.Key("perdure.resolution")     // how a commit in doubt ended
	MethodKey        = attribute.Key("perdure.method")         // how that is known
	KeyKey           = attribute.Key("perdure.key")            // of a Once
)

// errorOther is error.type for what has no better word, by the conventions.
const errorOther = "_OTHER"

// failure is how an error is told apart in metrics.
type failure struct {
	kind  string // error.type
	state string // db.response.status_code
}

// failureOf returns the SQLSTATE, else why the call ended if no attempt did
// it, else the category.
func failureOf(v pgerr.Verdict, reason perdure.Reason) failure {
	switch {
	case v.SQLState != "":
		return failure{kind: v.SQLState, state: v.SQLState}
	case reason == perdure.ReasonBreakerOpen, reason == perdure.ReasonPanicked:
		return failure{kind: reason.String()}
	}
	if word := v.Category.String(); word != "unknown" {
		return failure{kind: word}
	}
	if reason == perdure.ReasonCanceled {
		return failure{kind: reason.String()}
	}
	return failure{kind: errorOther}
}

func (f failure) attributes() []attribute.KeyValue {
	kvs := []attribute.KeyValue{semconv.ErrorTypeKey.String(f.kind)}
	if f.state != "" {
		kvs = append(kvs, semconv.DBResponseStatusCode(f.state))
	}
	return kvs
}

// describe returns what spans and log events say of an error.
func describe(v pgerr.Verdict, reason perdure.Reason) []attribute.KeyValue {
	return append(failureOf(v, reason).attributes(),
		CategoryKey.String(v.Category.String()), SeverityKey.String(v.Severity.String()))
}
