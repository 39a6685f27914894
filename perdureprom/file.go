package perdureprom

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// WriteFile writes what g gathers to a file for the textfile collector of the
// node exporter, which reads *.prom: what a one-shot run leaves behind, for
// nobody can scrape it. The file replaces an older one in one step, and
// everybody may read it (0644).
//
// Of the older file one thing is kept: when pipelines last succeeded, where g
// knows of no success. A run that fails must not make the last good one
// forgotten.
func WriteFile(path string, g prometheus.Gatherer) error {
	merged := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		if err != nil {
			return nil, err
		}
		old, err := readSuccesses(path)
		if err != nil {
			return nil, err
		}
		return keepSuccesses(families, old), nil
	})
	if err := prometheus.WriteToTextfile(path, merged); err != nil {
		return fmt.Errorf("metrics file %s: %w", path, err)
	}
	return nil
}

// readSuccesses reads the series of lastSuccess from a file, if there is one
// that can be read as such: a broken one is replaced.
func readSuccesses(path string) (*dto.MetricFamily, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		return nil, nil
	}
	return families[lastSuccess], nil
}

// keepSuccesses adds to families the successes that only old knows.
func keepSuccesses(families []*dto.MetricFamily, old *dto.MetricFamily) []*dto.MetricFamily {
	if old == nil {
		return families
	}
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == lastSuccess })
	if i < 0 {
		return append(families, old)
	}
	for _, was := range old.Metric {
		j := slices.IndexFunc(families[i].Metric, func(m *dto.Metric) bool { return pipelineOf(m) == pipelineOf(was) })
		switch {
		case j < 0:
			families[i].Metric = append(families[i].Metric, was)
		case families[i].Metric[j].GetGauge().GetValue() == 0:
			families[i].Metric[j] = was
		}
	}
	return families
}

func pipelineOf(m *dto.Metric) string {
	for _, l := range m.Label {
		if l.GetName() == labelPipeline {
			return l.GetValue()
		}
	}
	return ""
}
