package perdureprom

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The most names that Pipelines keeps; further ones are counted as "other".
const (
	maxPipelines = 256
	maxSteps     = 4096 // of all pipelines
)

// The names of metrics that more than one place speaks of.
const (
	lastRun     = "pipeline_last_run_timestamp_seconds"
	lastSuccess = "pipeline_last_success_timestamp_seconds"
)

// Pipelines counts runs of pipelines, which whoever runs them reports. It is
// safe for concurrent use.
type Pipelines struct {
	runs        *prometheus.CounterVec
	steps       *prometheus.HistogramVec
	lastRun     *prometheus.GaugeVec
	lastSuccess *prometheus.GaugeVec

	mu        sync.Mutex // guards the fields below
	pipelines map[string]bool
	stepNames map[[2]string]bool
}

// NewPipelines returns a Collector that knows no pipeline yet.
func NewPipelines() *Pipelines {
	m := pipelineMetrics()
	gauge := func(m Metric) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
	}
	return &Pipelines{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: m[0].Name, Help: m[0].Help}, m[0].Labels),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: m[1].Name, Help: m[1].Help,
			Buckets:                      []float64{0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400},
			NativeHistogramBucketFactor:  1.1,
			NativeHistogramZeroThreshold: 0.001, NativeHistogramMaxBucketNumber: 100,
		}, m[1].Labels),
		lastRun: gauge(m[2]), lastSuccess: gauge(m[3]),
		pipelines: map[string]bool{}, stepNames: map[[2]string]bool{},
	}
}

func pipelineMetrics() []Metric {
	return []Metric{
		{
			Name: "pipeline_runs_total", Type: counter, Labels: []string{labelPipeline, labelStatus},
			Help: "Runs of pipelines that ended, by how: succeeded, failed, canceled.",
			Use:  "How often work fails. Of one-shot runs the file holds the last one alone: use the timestamps there.",
		},
		{
			Name: "pipeline_step_duration_seconds", Type: histogram, Unit: "seconds", Labels: []string{labelPipeline, "step", labelStatus},
			Help: "Duration of the steps of pipelines, with their repeats and waiting, by how they ended.",
			Use:  "Which step takes the time. A step that was skipped has none.",
		},
		{
			Name: lastRun, Type: gauge, Unit: "seconds", Labels: []string{labelPipeline},
			Help: "When the last run of a pipeline ended, however it did, in seconds since 1970; 0 if none is known.",
			Use:  "Later than pipeline_last_success_timestamp_seconds: the last run did not succeed.",
		},
		{
			Name: lastSuccess, Type: gauge, Unit: "seconds", Labels: []string{labelPipeline},
			Help: "When the last run of a pipeline that succeeded ended, in seconds since 1970; 0 if none is known.",
			Use:  "Alert when it is older than the schedule allows: that notices also the run that never began.",
		},
	}
}

// Declare makes a pipeline known before its first run ends, so that its series
// are there from the start.
func (p *Pipelines) Declare(pipeline string) { p.pipeline(pipeline) }

// RunEnded counts a run that ended at that time with the status succeeded,
// failed or canceled.
func (p *Pipelines) RunEnded(pipeline, status string, at time.Time) {
	pipeline = p.pipeline(pipeline)
	seconds := float64(at.UnixMilli()) / 1000
	p.runs.WithLabelValues(pipeline, known(status)).Inc()
	p.lastRun.WithLabelValues(pipeline).Set(seconds)
	if status == succeeded {
		p.lastSuccess.WithLabelValues(pipeline).Set(seconds)
	}
}

// StepEnded counts a step that ran and ended with a status as RunEnded has.
func (p *Pipelines) StepEnded(pipeline, step, status string, took time.Duration) {
	pipeline = p.pipeline(pipeline)
	p.steps.WithLabelValues(pipeline, p.step(pipeline, step), known(status)).Observe(took.Seconds())
}

// pipeline returns the label of a pipeline, and makes its series if it is new.
func (p *Pipelines) pipeline(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pipelines[name] {
		return name
	}
	if len(p.pipelines) >= maxPipelines {
		name = otherName
	}
	p.pipelines[name] = true
	for _, status := range []string{succeeded, failed, canceled} {
		p.runs.WithLabelValues(name, status)
	}
	p.lastRun.WithLabelValues(name)
	p.lastSuccess.WithLabelValues(name)
	return name
}

func (p *Pipelines) step(pipeline, name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := [2]string{pipeline, name}
	if !p.stepNames[key] {
		if len(p.stepNames) >= maxSteps {
			return otherName
		}
		p.stepNames[key] = true
	}
	return name
}

const canceled = "canceled"

func known(status string) string {
	switch status {
	case succeeded, failed, canceled:
		return status
	}
	return otherName
}

// Describe sends the descriptions of the metrics.
func (p *Pipelines) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range p.all() {
		c.Describe(ch)
	}
}

// Collect sends what was counted.
func (p *Pipelines) Collect(ch chan<- prometheus.Metric) {
	for _, c := range p.all() {
		c.Collect(ch)
	}
}

func (p *Pipelines) all() []prometheus.Collector {
	return []prometheus.Collector{p.runs, p.steps, p.lastRun, p.lastSuccess}
}
