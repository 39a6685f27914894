package perdureaudit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/perdure/perdure/audit"
	"github.com/perdure/perdure/redact"
)

// Config says how a Recorder works. Its zero value is the documented default.
type Config struct {
	// Manager is the name of the Manager, in every record.
	Manager string
	// Queue is the number of records that may wait. Zero means 4,096.
	Queue int
	// Wait is how long a hook waits for room for a record that matters most. Zero means 100ms;
	// negative means not at all.
	Wait time.Duration
	// Every is how often refused calls and dropped records are summed up. Zero means 1s.
	Every time.Duration
	// Redactor makes the texts of errors fit to be stored. The zero Redactor has redact's own rules.
	Redactor redact.Redactor
	// Logger is told, once, when the trail fails. Nil means that nobody is.
	Logger *slog.Logger
}

// Stats counts what a Recorder did since New.
type Stats struct {
	Recorded uint64 // records that are on the disk
	Dropped  uint64 // records that the queue had no room for, that came when Run had ended, or that cannot be stored as they are
	Failed   uint64 // records that the trail did not take because it has failed or is closed: audit.Stats.Failures has them too
	Queued   int    // records that wait now
}

// Lost is the number of records that should be on the disk and are not.
func (s Stats) Lost() uint64 { return s.Dropped + s.Failed }

// Recorder takes events from the hooks of a Manager to a trail. It is safe for
// concurrent use.
type Recorder struct {
	cfg   Config
	trail *audit.Trail
	queue chan audit.Record
	ended chan struct{} // closed when Run returns

	mu      sync.Mutex // guards the fields below
	stats   Stats
	dropped map[audit.Kind]uint64 // since the last record of them
	refused map[string]uint64     // calls by operation, since the last record of them
	failed  bool                  // the logger was told
}

// New returns a Recorder that writes to trail. It starts nothing: see Run.
func New(trail *audit.Trail, cfg Config) (*Recorder, error) {
	if trail == nil {
		return nil, errors.New("perdureaudit: trail: it must be set")
	}
	if cfg.Queue < 0 || cfg.Every < 0 {
		return nil, fmt.Errorf("perdureaudit: queue: %d and every: %v must not be negative", cfg.Queue, cfg.Every)
	}
	if cfg.Queue == 0 {
		cfg.Queue = 4096
	}
	if cfg.Wait == 0 {
		cfg.Wait = 100 * time.Millisecond
	}
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Recorder{
		cfg: cfg, trail: trail,
		queue: make(chan audit.Record, cfg.Queue), ended: make(chan struct{}),
		dropped: map[audit.Kind]uint64{}, refused: map[string]uint64{},
	}, nil
}

// Run writes records until ctx ends, then what still waits, and returns the
// error that made the trail fail, nil if none did. It must be called once.
// End it after the Manager is closed and before the trail is.
func (r *Recorder) Run(ctx context.Context) error {
	defer close(r.ended)
	ticker := time.NewTicker(r.cfg.Every)
	defer ticker.Stop()
	write := context.WithoutCancel(ctx) // what happened is written, whoever has gone
	for {
		select {
		case first := <-r.queue:
			r.write(write, r.take(first))
		case <-ticker.C:
			r.write(write, r.sums())
		case <-ctx.Done():
			for len(r.queue) > 0 {
				r.write(write, r.take(<-r.queue))
			}
			r.write(write, r.sums())
			return r.trail.Err()
		}
	}
}

// Stats returns what the Recorder did.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Queued = len(r.queue)
	return s
}

// maxBatch bounds the records that are written at once.
const maxBatch = 1024

// take returns first and what waits behind it.
func (r *Recorder) take(first audit.Record) []audit.Record {
	list := []audit.Record{first}
	for len(list) < maxBatch {
		select {
		case next := <-r.queue:
			list = append(list, next)
		default:
			return list
		}
	}
	return list
}

// write makes records durable, or counts them.
func (r *Recorder) write(ctx context.Context, list []audit.Record) {
	if len(list) == 0 {
		return
	}
	_, err := r.trail.Append(ctx, list...)
	if errors.Is(err, audit.ErrRecord) {
		if len(list) == 1 {
			r.drop(list[0].Kind)
			return
		}
		for _, one := range list { // the others are as they should be
			r.write(ctx, []audit.Record{one})
		}
		return
	}
	r.mu.Lock()
	tell := err != nil && !r.failed
	if err == nil {
		r.stats.Recorded += uint64(len(list))
	} else {
		r.stats.Failed += uint64(len(list))
		r.failed = true
	}
	r.mu.Unlock()
	if tell {
		r.cfg.Logger.ErrorContext(ctx, "audit trail takes no records", slog.Any("error", err))
	}
}

// sums returns records of what was only counted, and begins to count anew.
func (r *Recorder) sums() []audit.Record {
	r.mu.Lock()
	dropped, refused := r.dropped, r.refused
	r.dropped, r.refused = map[audit.Kind]uint64{}, map[string]uint64{}
	r.mu.Unlock()
	var list []audit.Record
	for _, op := range slices.Sorted(maps.Keys(refused)) {
		list = append(list, audit.Record{
			Kind: audit.KindGiveUp, Manager: r.cfg.Manager, Subject: op, Action: "refused", Fields: map[string]any{"calls": refused[op]},
		})
	}
	if len(dropped) > 0 {
		fields := map[string]any{}
		for kind, n := range dropped {
			fields[string(kind)] = n
		}
		list = append(list, audit.Record{Kind: audit.KindDropped, Manager: r.cfg.Manager, Fields: fields})
	}
	return list
}

// put queues a record. One that matters waits for room.
func (r *Recorder) put(rec audit.Record, matters bool) {
	rec.Manager = r.cfg.Manager
	if rec.Time.IsZero() {
		rec.Time = time.Now()
	}
	select {
	case <-r.ended:
		r.drop(rec.Kind)
		return
	default:
	}
	select {
	case r.queue <- rec:
		return
	default:
	}
	if !matters || r.cfg.Wait < 0 {
		r.drop(rec.Kind)
		return
	}
	timer := time.NewTimer(r.cfg.Wait)
	defer timer.Stop()
	select {
	case r.queue <- rec:
	case <-r.ended:
		r.drop(rec.Kind)
	case <-timer.C:
		r.drop(rec.Kind)
	}
}

func (r *Recorder) drop(kind audit.Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Dropped++
	r.dropped[kind]++
}
