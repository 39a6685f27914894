package perdureprom

import "slices"

//go:generate go run ./internal/gendoc -o ../docs/metrics.md

// Metric describes one metric that this package exports.
type Metric struct {
	Name   string
	Type   string // counter, gauge, histogram or summary
	Unit   string // of its value; "" for a plain count
	Labels []string
	Help   string // as a scrape shows it
	Use    string // what a person does with it
}

// The types of metrics.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
	summary   = "summary"
)

// The labels.
const (
	labelManager   = "manager"
	labelOperation = "operation"
	labelOutcome   = "outcome"
	labelStatus    = "status"
	labelPipeline  = "pipeline"
)

// id is the index of a metric of a Manager in managerMetrics.
type id int

const (
	errorsTotal id = iota
	retriesTotal
	breakerState
	successRate
	operationsTotal
	retriedTotal
	operationDuration
	attemptDuration
	retryDelay
	budgetRatio
	budgetPaid
	budgetRefused
	transitionsTotal
	openSeconds
	breakerHeld
	rejectionsTotal
	sqlstateErrors
	commitOutcomes
	parkedOperations
	parksTotal
	parkedSeconds
	overflowedTotal
	buildInfo
	idCount
)

// Metrics returns every metric that this package exports: of Managers, pools,
// pipelines and the audit trail, in this order.
//
// A Manager counts durations in buckets that are at most 25 % wide. The classic
// buckets are a choice among their bounds, so that they are exact. (Theirs are
// exclusive and Prometheus' are inclusive: a duration of exactly a bound is
// counted one bucket higher.) The native histogram has schema 3, the
// coarsest that keeps the Manager's buckets apart: each goes into the native
// bucket that holds its geometric middle, so that a quantile is off by 22 %
// at most; durations below 4.096 µs are in the zero bucket, and those above
// 2⁴¹ ns ≈ 37 min in the one that begins there.
func Metrics() []Metric {
	m := managerMetrics()
	return slices.Concat(m[:], poolMetrics(), pipelineMetrics(), auditMetrics())
}

func managerMetrics() [idCount]Metric {
	of := func(labels ...string) []string { return append([]string{labelManager}, labels...) }
	return [idCount]Metric{
		errorsTotal: {
			Name: "database_errors_total", Type: counter, Labels: of(labelOperation, "category", "severity"),
			Help: "Failed attempts by what their error means.",
			Use:  "Says what kind of trouble there is. An attempt that was repeated with success counts as well: see database_operations_total for what callers saw.",
		},
		retriesTotal: {
			Name: "database_retries_total", Type: counter, Labels: of(labelOperation, "attempt"),
			Help: "Repeats begun, by the number of the attempt: 2 is the first repeat, 10+ are the tenth attempt and all later ones.",
			Use:  "Its rate is the load that repeats add. Many in the high numbers mean that repeating does not help.",
		},
		breakerState: {
			Name: "database_circuit_breaker_state", Type: gauge, Labels: of(labelOperation),
			Help: `State of the circuit breaker: 0 closed, 1 half-open, 2 open. operation="database" is the breaker of the whole database.`,
			Use:  "Shows what is refused now. An opening of a second falls between two scrapes: alert on database_breaker_transitions_total. An operation without a breaker has none.",
		},
		successRate: {
			Name: "retry_success_rate", Type: gauge, Unit: "ratio", Labels: of(labelOperation),
			Help: "Of the calls of the last five minutes that needed a repeat, the share that succeeded. It is 1 while there were none.",
			Use:  "One look at one process. Rates cannot be added up: over several processes or other times use database_retried_operations_total.",
		},
		operationsTotal: {
			Name: "database_operations_total", Type: counter, Labels: of(labelOperation, labelOutcome),
			Help: "Calls that ended, by how: succeeded, failed (the error came back as it was), panicked, or the reason for giving up.",
			Use:  "What callers saw. outcome_unknown needs a person: see the runbook.",
		},
		retriedTotal: {
			Name: "database_retried_operations_total", Type: counter, Labels: of(labelOperation, labelOutcome),
			Help: "Calls that needed a repeat, by whether they succeeded or failed in the end.",
			Use:  "succeeded is what perdure saved; succeeded by both is the success rate of repeating over any time and any number of processes.",
		},
		operationDuration: {
			Name: "database_operation_duration_seconds", Type: histogram, Unit: "seconds", Labels: of(labelOperation),
			Help: "Duration of calls, with their repeats and all waiting. Calls that were refused at once are not in it.",
			Use:  "The latency that callers see.",
		},
		attemptDuration: {
			Name: "database_attempt_duration_seconds", Type: histogram, Unit: "seconds", Labels: of(labelOperation),
			Help: "Duration of single attempts, failed ones included.",
			Use:  "The latency of the database itself. Operations slow and attempts fast: the time goes into waiting.",
		},
		retryDelay: {
			Name: "database_retry_delay_seconds", Type: histogram, Unit: "seconds", Labels: of(labelOperation),
			Help: "Delays before repeats. It appears with the first one.",
			Use:  "What backoff costs callers.",
		},
		budgetRatio: {
			Name: "database_retry_budget_ratio", Type: gauge, Unit: "ratio", Labels: of(),
			Help: "Share of the repeats allowed in the last second that is left, 0 to 1.",
			Use:  "At 0 calls fail at their first error: the database is in more trouble than repeats can cure.",
		},
		budgetPaid: {
			Name: "database_retry_budget_paid_total", Type: counter, Labels: of(),
			Help: "Repeats that the retry budget paid for.",
			Use:  "Against database_retry_budget_refused_total: how tight the budget is.",
		},
		budgetRefused: {
			Name: "database_retry_budget_refused_total", Type: counter, Labels: of(),
			Help: "Repeats that the retry budget could not pay for when they were due. Parked calls pay later.",
			Use:  "Any increase: repeats are held back. Unlike the ratio it misses nothing between two scrapes.",
		},
		transitionsTotal: {
			Name: "database_breaker_transitions_total", Type: counter, Labels: of(labelOperation, "from", "to"),
			Help: "Changes of state of circuit breakers.",
			Use:  `Alert on to="open": it counts also the openings that no scrape saw.`,
		},
		openSeconds: {
			Name: "database_breaker_open_seconds_total", Type: counter, Unit: "seconds", Labels: of(labelOperation),
			Help: "Time that circuit breakers spent open.",
			Use:  "Its rate is the share of time in which calls were refused: the basis of an availability objective.",
		},
		breakerHeld: {
			Name: "database_breaker_held", Type: gauge, Labels: of(labelOperation),
			Help: "Whether a person holds the circuit breaker, open or closed, until it is released: 1 yes, 0 no.",
			Use:  "A hold that was forgotten protects nobody. The state tells which way it is held.",
		},
		rejectionsTotal: {
			Name: "database_breaker_rejections_total", Type: counter, Labels: of(labelOperation),
			Help: "Calls that an open circuit breaker refused before they began.",
			Use:  "The work that was not done. Work that may wait should park instead (Policy.Park).",
		},
		sqlstateErrors: {
			Name: "database_sqlstate_errors_total", Type: counter, Labels: of("sqlstate"),
			Help: "Failed attempts by the SQLSTATE of the server. What is not a SQLSTATE, and what is too many, counts as other.",
			Use:  "Look it up: perdure classify CODE.",
		},
		commitOutcomes: {
			Name: "database_commit_outcomes_total", Type: counter, Labels: of("resolution", "method"),
			Help: "Commits in doubt by how they were resolved (committed, aborted, unknown), and keyed work by whether it was run or remembered.",
			Use:  "committed and aborted are doubts that perdure settled; unknown needs a person: see the runbook.",
		},
		parkedOperations: {
			Name: "database_parked_operations", Type: gauge, Labels: of(),
			Help: "Calls that wait for a circuit breaker or the retry budget to let them pass.",
			Use:  "It should fall when the database is back. Growing without end means that producers do not slow down.",
		},
		parksTotal: {
			Name: "database_parks_total", Type: counter, Labels: of(labelOperation),
			Help: "Times that a call waited for a circuit breaker or the retry budget, counted when the wait is over.",
			Use:  "Which work waits.",
		},
		parkedSeconds: {
			Name: "database_parked_seconds_total", Type: counter, Unit: "seconds", Labels: of(labelOperation),
			Help: "Time that calls waited for a circuit breaker or the retry budget, counted when the wait is over.",
			Use:  "Divided by database_parks_total: how long a wait is.",
		},
		overflowedTotal: {
			Name: "database_overflowed_operations_total", Type: counter, Labels: of(),
			Help: `Calls that ran under the name "other", for want of room for their own.`,
			Use:  "Any increase: names are made from data somewhere. Find them, or raise Config.MaxOperations.",
		},
		buildInfo: {
			Name: "perdure_build_info", Type: gauge, Labels: of("version", "goversion"),
			Help: "1, with the version of perdure and of Go that the program was built with.",
			Use:  "Which version runs where.",
		},
	}
}
