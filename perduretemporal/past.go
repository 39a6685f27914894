package perduretemporal

import "github.com/perdure/perdure/pipeline"

// past is what happened in earlier executions of the workflow to the steps that
// have not succeeded: their tasks are not run again, their signals are told
// again, in the order in which they came as far as the tasks begin in it. Tasks may begin
// in another order than they did, since steps that ended meanwhile take no turn.
type past struct {
	records []pipeline.Record
	at      map[moment]int // of records
	ready   []*pipeline.Task
	next0   int // records before it are told
	waiting int // tasks in ready
}

// moment identifies a record.
type moment struct {
	step           string
	listing        bool
	index, attempt int
	woke           bool
}

func newPast(records []pipeline.Record) past {
	p := past{records: records, at: make(map[moment]int, len(records)), ready: make([]*pipeline.Task, len(records))}
	for i, r := range records {
		p.at[moment{r.Step, r.Listing, r.Index, r.Attempt, r.Woke}] = i
	}
	return p
}

// begin reports whether the end of the task, or of its wait, is recorded.
func (p *past) begin(t pipeline.Task, wait bool) bool {
	i, ok := p.at[moment{t.Step, t.Listing, t.Index, t.Attempt, wait}]
	if !ok {
		return false
	}
	p.ready[i] = &t
	p.waiting++
	return true
}

// next returns the first record whose task has begun, and that task.
func (p *past) next() (pipeline.Record, pipeline.Task, bool) {
	if p.waiting == 0 {
		return pipeline.Record{}, pipeline.Task{}, false
	}
	i := p.next0
	for p.ready[i] == nil {
		i++
	}
	t := *p.ready[i]
	p.ready[i] = nil
	p.waiting--
	delete(p.at, moment{t.Step, t.Listing, t.Index, t.Attempt, p.records[i].Woke})
	if i == p.next0 {
		p.next0++
	}
	return p.records[i], t, true
}

// rest returns the records that were not told.
func (p *past) rest() []pipeline.Record {
	var out []pipeline.Record
	for _, r := range p.records {
		if _, there := p.at[moment{r.Step, r.Listing, r.Index, r.Attempt, r.Woke}]; there {
			out = append(out, r)
		}
	}
	return out
}
