package perduredbos_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perdure/perdure/pipeline"
)

// lab makes random pipelines, whose tasks end in an order that nobody knows.
type lab struct {
	mu    sync.Mutex
	ran   []string       // step/index/attempt
	tries map[string]int // of a task
	flaky map[string]int // how often the tasks of a step fail at first
}

func (l *lab) definition(t *rapid.T, name string) *pipeline.Definition {
	n := rapid.IntRange(1, 7).Draw(t, "steps")
	d := &pipeline.Definition{Name: name, Parallel: rapid.IntRange(1, 5).Draw(t, "parallel")}
	l.flaky = make(map[string]int)
	for i := range n {
		s := pipeline.Step{Name: fmt.Sprint("s", i), Attempts: 3, Delay: time.Millisecond}
		for j := range i {
			if rapid.Bool().Draw(t, "needs") {
				s.Needs = append(s.Needs, fmt.Sprint("s", j))
			}
		}
		l.flaky[s.Name] = rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "flaky")
		items := rapid.IntRange(-3, 4).Draw(t, "items")
		if items >= 0 {
			s.Items = func(context.Context, pipeline.Input) ([]pipeline.Item, error) {
				list := make([]pipeline.Item, items)
				for k := range list {
					list[k] = pipeline.Item{Name: strconv.Itoa(k), Value: fmt.Append(nil, k)}
				}
				return list, nil
			}
		} else if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
			l.flaky[s.Name] = 3 // for good
		}
		spin := rapid.IntRange(0, 40).Draw(t, "spin")
		s.Do = func(_ context.Context, in pipeline.Input) (any, error) {
			for range spin * (1 + len(in.Item)) {
				runtime.Gosched()
			}
			task := s.Name + "/" + string(in.Item)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.tries[task]++
			l.ran = append(l.ran, fmt.Sprint(task, "/", l.tries[task]))
			if l.tries[task] <= l.flaky[s.Name] {
				return nil, pipeline.RetryAt(errors.New("not yet"), time.Time{})
			}
			keys := make([]string, 0, len(in.Outputs))
			for k, v := range in.Outputs {
				keys = append(keys, k+string(v))
			}
			slices.Sort(keys)
			return map[string]any{"of": task, "n": len(keys), "last": append(keys, "")[max(0, len(keys)-1)]}, nil
		}
		d.Steps = append(d.Steps, s)
	}
	return d
}

// forget makes the tries be those of the records.
func (l *lab) forget(records []batch) {
	l.ran, l.tries = nil, make(map[string]int)
	for _, b := range records {
		for _, r := range b.records {
			if !r.Woke && !r.Listing {
				for _, task := range []string{r.Step + "/", fmt.Sprint(r.Step, "/", r.Index)} {
					l.tries[task] = max(l.tries[task], r.Attempt)
				}
			}
		}
	}
}

// timeless is the report without its times, which differ.
func timeless(r pipeline.Report) pipeline.Report {
	r.Started, r.Duration = time.Time{}, 0
	r.Steps = slices.Clone(r.Steps)
	for i := range r.Steps {
		s := &r.Steps[i]
		s.Started, s.Duration = time.Time{}, 0
		if s.Failure != nil {
			s.Failure = &pipeline.Failure{Message: s.Failure.Message, Again: s.Failure.Again}
		}
	}
	return r
}

// cut makes the run one whose process was killed after it had stored so many records.
func cut(t *testing.T, db *sql.DB, run string, after int) {
	t.Helper()
	for _, q := range []string{
		"delete from operation_outputs where workflow_uuid = ?1 and function_id > ?2",
		"update workflow_status set status = 'PENDING', completed_at = null, owner_xid = 'gone', executor_id = 'gone/1/x' where workflow_uuid = ?1 and ?2 = ?2",
		"delete from workflow_output where workflow_uuid = ?1 and ?2 = ?2",
	} {
		if _, err := db.Exec(q, run, after); err != nil {
			t.Fatal(err)
		}
	}
}

// TestResumeEqualsARunInPeace: whatever was stored when the process was killed, the
// report is that of a run which nobody killed, and no task with a record is run again.
func TestResumeEqualsARunInPeace(t *testing.T) {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		t.Fatal(err)
	}
	dir, d := t.TempDir(), &pipeline.Definition{}
	e := engine(t, dir, d)
	db := sqlite(t, dir)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		l, run := &lab{tries: make(map[string]int)}, fmt.Sprint("r", n)
		*d = *l.definition(r, "random")
		plan := freeze(t, d, run, nil)
		want, wantErr := e.Run(t.Context(), plan, pipeline.DurableOptions{})
		all := stored(t, db, run)
		kept := rapid.IntRange(0, len(all)).Draw(r, "kept")
		after := 0
		if kept > 0 {
			after = all[kept-1].step
		}
		cut(t, db, run, after)
		if info := show(t, e, run); info.Status != pipeline.StatusInterrupted {
			r.Fatalf("status of the killed run = %s", info.Status)
		}
		l.forget(all[:kept])
		got, gotErr := e.Resume(t.Context(), run, pipeline.DurableOptions{})
		if (wantErr == nil) != (gotErr == nil) {
			r.Fatalf("error in peace %v, resumed %v", wantErr, gotErr)
		}
		if diff := cmp.Diff(asJSON(t, timeless(want)), asJSON(t, timeless(got))); diff != "" {
			r.Fatalf("resumed after %d of %d (-in peace +resumed):\n%s", kept, len(all), diff)
		}
		recorded := make(map[string]bool)
		for _, b := range all[:kept] {
			for _, rec := range b.records {
				recorded[fmt.Sprint(rec.Step, "/", rec.Index, "/", rec.Attempt)] = !rec.Woke && !rec.Listing
			}
		}
		for _, task := range l.ran {
			if recorded[task] {
				r.Fatalf("task %s was run again although it has a record", task)
			}
		}
	})
}
