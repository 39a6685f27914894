package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/perdure/perdure/pipeline"
)

// talkEvery is how often a line tells how far a run is where no terminal is.
const talkEvery = 10 * time.Second

// progress shows one run.
type progress struct {
	observe func(pipeline.Event)
	end     func(complete bool)
}

// display shows runs on stderr: as bars on a terminal, as lines elsewhere.
type display struct {
	bars   *mpb.Progress // nil: lines
	talk   io.Writer
	closed bool
}

func newDisplay(talk io.Writer) *display {
	d := &display{talk: talk}
	if f, ok := talk.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		d.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(36), mpb.WithRefreshRate(120*time.Millisecond))
	}
	return d
}

// Write writes above the bars while there are any.
func (d *display) Write(b []byte) (int, error) {
	if d.bars != nil {
		if n, err := d.bars.Write(b); err == nil {
			return n, nil
		}
	}
	return d.talk.Write(b)
}

// runLog is a log of runs beside what is shown of them: where there are bars,
// only of what they do not show.
func (d *display) runLog(log *slog.Logger) *slog.Logger {
	if d.bars == nil || log == nil {
		return log
	}
	return slog.New(atLeast{log.Handler(), slog.LevelWarn})
}

// close waits until the last state of the bars is drawn, and leaves a line
// between them and what follows.
func (d *display) close() {
	if d.closed {
		return
	}
	d.closed = true
	if d.bars != nil {
		d.bars.Wait()
	}
	say(d.talk, "")
}

// tally is how far a run is.
type tally struct {
	mu      sync.Mutex // guards the fields below
	done    map[string]int
	items   map[string]bool
	step    string
	waiting string
}

func (t *tally) take(e pipeline.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case pipeline.EventStepStarted:
		t.step = e.Step
	case pipeline.EventProgress:
		t.step, t.waiting = e.Step, ""
		t.done[e.Step], t.items[e.Step] = e.Done, true
	case pipeline.EventWaiting:
		t.waiting = fmt.Sprintf("%s waits until %s: %s", e.Step, e.Until.Format(time.TimeOnly), e.Failure.Message)
	case pipeline.EventStepEnded:
		if e.Status == pipeline.StatusSucceeded && !t.items[e.Step] && e.Total == 0 {
			t.done[e.Step] = 1
		}
	}
}

func (t *tally) read() (done int, step, waiting string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.done {
		done += n
	}
	return done, t.step, t.waiting
}

// show begins to show a run of so many tasks.
func (d *display) show(label string, total int, note func() string) progress {
	t := &tally{done: make(map[string]int), items: make(map[string]bool)}
	if d.bars == nil {
		return d.lines(label, total, note, t)
	}
	bar := d.bars.New(int64(total),
		mpb.BarStyle().Lbound("").Filler("━").Tip("━").Padding("─").Rbound(""),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-12s", label))),
		mpb.AppendDecorators(
			decor.Percentage(decor.WC{W: 5}),
			decor.Elapsed(decor.ET_STYLE_MMSS, decor.WC{W: 7}),
			decor.OnAbort(decor.OnComplete(decor.Any(func(decor.Statistics) string {
				_, step, _ := t.read()
				return "  " + step + suffix(note())
			}), "  done"), "  stopped"),
		),
	)
	return progress{
		observe: func(e pipeline.Event) {
			t.take(e)
			done, _, _ := t.read()
			bar.SetCurrent(int64(done))
		},
		end: func(complete bool) {
			if complete {
				bar.SetTotal(-1, true)
			} else {
				bar.Abort(false)
			}
		},
	}
}

// lines writes a line when a run begins, every ten seconds, and when it ends.
func (d *display) lines(label string, total int, note func() string, t *tally) progress {
	began := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	line := func(format string, args ...any) {
		say(d.talk, "%s  %s", label, fmt.Sprintf(format, args...))
	}
	line("%d to do", total)
	wg.Go(func() {
		tick := time.NewTicker(talkEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			done, step, waiting := t.read()
			line("%d of %d, %s, %v%s%s", done, total, step, time.Since(began).Round(time.Second), suffix(note()), suffix(waiting))
		}
	})
	return progress{observe: t.take, end: func(complete bool) {
		cancel()
		wg.Wait()
		done, _, _ := t.read()
		word := "done"
		if !complete {
			word = "stopped"
		}
		line("%s: %d of %d in %v", word, done, total, time.Since(began).Round(100*time.Millisecond))
	}}
}

func suffix(s string) string {
	if s == "" {
		return ""
	}
	return ", " + s
}
