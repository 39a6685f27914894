package perduretemporal

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/perdure/perdure/pipeline"
)

// poll asks how far the run is, and tells the observer what is new, until ctx
// ends. What comes and goes between two questions is not told.
func (e *Engine) poll(ctx context.Context, run string, t *teller) {
	for pause(ctx, e.config.Poll) == nil {
		p, err := e.inquire(ctx, run, "")
		if err != nil {
			e.log.DebugContext(ctx, "temporal: how far the run is, is not known", slog.String("run", run), slog.Any("error", err))
			continue
		}
		t.tell(p)
		s, err := e.look(ctx, run)
		if err != nil {
			continue
		}
		for _, a := range s.pending {
			var b beat
			if e.convert.FromPayloads(a.GetHeartbeatDetails(), &b) == nil {
				t.beat(a.GetActivityId(), b, a.GetLastHeartbeatTime().AsTime())
			}
		}
	}
}

// teller makes events of what has changed between two answers.
type teller struct {
	observe func(pipeline.Event)
	last    progress
	beats   map[string]beat
}

func newTeller(observe func(pipeline.Event)) *teller {
	return &teller{observe: observe, beats: make(map[string]beat)}
}

// tell compares with the answer before.
func (t *teller) tell(p progress) {
	if t.observe == nil {
		return
	}
	for i, now := range p.Report.Steps {
		was, had := pipeline.StepReport{Status: pipeline.StatusPending}, stepProgress{}
		if i < len(t.last.Report.Steps) {
			was, had = t.last.Report.Steps[i], t.last.Steps[i]
		}
		t.step(was, now, had, p.Steps[i])
	}
	t.last = p
}

func (t *teller) step(was, now pipeline.StepReport, had, has stepProgress) {
	if was.Status == pipeline.StatusPending && !now.Started.IsZero() {
		t.observe(pipeline.Event{Kind: pipeline.EventStepStarted, At: now.Started, Step: now.Name, Status: pipeline.StatusRunning, Attempts: now.Attempts})
	}
	at := now.Started.Add(now.Duration)
	if has.Done != had.Done && has.Done > 0 {
		t.observe(pipeline.Event{
			Kind: pipeline.EventProgress, At: at, Step: now.Name, Item: has.Item, Done: has.Done, Total: has.Total, Status: pipeline.StatusRunning, Attempts: now.Attempts,
		})
	}
	if !has.Until.IsZero() && !has.Until.Equal(had.Until) {
		t.observe(pipeline.Event{
			Kind: pipeline.EventWaiting, At: at, Step: now.Name, Item: has.Item, Until: has.Until, Failure: has.Failure, Status: pipeline.StatusRunning, Attempts: now.Attempts,
		})
	}
	if over(now.Status) && !over(was.Status) {
		done, total := has.Done, max(has.Total, now.Items)
		if now.Status == pipeline.StatusSucceeded {
			done = total
		}
		t.observe(pipeline.Event{Kind: pipeline.EventStepEnded, At: at, Step: now.Name, Status: now.Status, Failure: now.Failure, Done: done, Total: total, Attempts: now.Attempts})
	}
}

// over reports whether a status is final.
func over(s pipeline.Status) bool {
	return s != pipeline.StatusPending && s != pipeline.StatusRunning
}

// beat tells what a task said of itself with its last sign of life.
func (t *teller) beat(activity string, b beat, at time.Time) {
	if b.Done == 0 && b.Total == 0 || t.beats[activity] == b {
		return
	}
	t.beats[activity] = b
	name, _, _ := strings.Cut(activity, "#")
	step, item, _ := strings.Cut(name, "/")
	t.observe(pipeline.Event{Kind: pipeline.EventProgress, At: at, Step: step, Item: item, Done: b.Done, Total: b.Total, Parts: true, Status: pipeline.StatusRunning})
}
