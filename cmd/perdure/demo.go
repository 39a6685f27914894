package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure"
	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/internal/chaos"
)

// demoReport is the JSON of demo.
type demoReport struct {
	Peace     *runReport `json:"peace"`
	Chaos     *runReport `json:"chaos"`
	Naive     *runReport `json:"naive,omitempty"`
	Identical bool       `json:"identical"`
	// ChaosMet says that the chaos was as severe as it is meant to be.
	ChaosMet bool    `json:"chaos_met"`
	Seconds  float64 `json:"seconds"`
}

func (a *app) demoCommand() *cobra.Command {
	var (
		f     serverFlags
		level = chaos.Severe
		seed  uint64
		naive bool
		file  string
		prom  string
		l     listenFlags
		hold  time.Duration
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the flights pipeline in peace, under chaos, and as most programs do it, and compare",
		Long: "demo loads 20,000 flights, builds features in SQL, trains a model and stores a prediction for each\n" +
			"flight: first in peace, then while the server is killed and connections are cut around COMMIT, then\n" +
			"under the same chaos with " + howNaive + ".\n" +
			"The first two are examples/flights/pipeline.yaml on the engine dbos, with its state in a directory that is\n" +
			"removed afterwards.\n\n" +
			"It exits with 0 only if the tables and the model of the second run are the same bits as those of the\n" +
			"first. It starts a private PostgreSQL unless --database-url names one; a server that is not its own\n" +
			"is never killed, and meets only the faults of connections and locks.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLevel(level); err != nil {
				return err
			}
			if level == chaos.Off {
				return usageError("--chaos off leaves nothing to show: want mild or severe")
			}
			if hold < 0 || hold > 0 && l.addr == "" {
				return usageError("--hold %v: want a positive duration, and --listen", hold)
			}
			metrics, err := newMetricsFile(prom, "flights")
			if err != nil {
				return err
			}
			return metrics.write(a.demo(cmd.Context(), f, demoJobs{
				level: level, seed: seed, naive: naive, file: file, metrics: metrics, listen: l, hold: hold,
			}))
		},
	}
	f.add(cmd)
	addMetricsFlag(cmd, &prom)
	l.add(cmd)
	cmd.Flags().DurationVar(&hold, "hold", 0, "keep the listener up that long after the end")
	cmd.Flags().StringVar((*string)(&level), "chaos", string(level), "mild or severe")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "of the chaos")
	cmd.Flags().BoolVar(&naive, "naive", true, "also run as most programs do it: "+howNaive)
	cmd.Flags().StringVar(&file, "flights", "", "another file of the shape of examples/flights/data/flights.csv")
	return cmd
}

type demoJobs struct {
	level chaos.Level
	seed  uint64
	naive bool
	file  string
	// metrics has a Manager for each run but the naive one, by the names peace and chaos.
	metrics *metricsFile
	listen  listenFlags
	hold    time.Duration
}

func (a *app) demo(ctx context.Context, f serverFlags, want demoJobs) (err error) {
	data, err := readFlights(want.file)
	if err != nil {
		return err
	}
	d := newDisplay(a.err)
	ctx, stop, release := interrupts(ctx, d)
	defer release()
	managers := map[string]*perdure.Manager{}
	for _, name := range []string{"peace", "chaos"} {
		if managers[name], err = newManager(name); err != nil {
			return err
		}
	}
	panel, err := a.show(ctx, want.listen, managers["peace"], managers["chaos"])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, panel.end(ctx, want.hold, stop)) }()
	srv, err := f.open(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	a.say("%s, %s", srv.version, describe(data))
	defer d.close()

	var r demoReport
	run := func(name, label string, level chaos.Level, naive bool) (*runReport, error) {
		p, err := srv.place(ctx, "perdure_demo_"+name, true)
		if err != nil {
			return nil, err
		}
		j := job{
			label: label, manager: managers[name], shown: panel, file: want.metrics, place: p, server: srv, data: data,
			naive: naive, engine: engineDBOS, input: want.file, level: level, seed: want.seed, stop: stop, show: d.show,
		}
		report, err := j.do(ctx)
		r.Seconds += report.Seconds
		return &report, errors.Join(err, p.remove(context.WithoutCancel(ctx)))
	}
	if r.Peace, err = run("peace", "in peace", chaos.Off, false); err != nil {
		return interruptedError(fmt.Errorf("the run in peace: %w", err), stop)
	}
	var broken error
	r.Chaos, broken = run("chaos", "under chaos", want.level, false)
	if r.Chaos == nil || interrupted(stop) {
		return interruptedError(fmt.Errorf("the run under chaos: %w", orInterrupted(broken)), stop)
	}
	if want.naive && broken == nil {
		// Its errors are what it is here to show.
		r.Naive, err = run("naive", "naive", want.level, true)
		if r.Naive == nil || interrupted(stop) {
			return interruptedError(fmt.Errorf("the naive run: %w", orInterrupted(err)), stop)
		}
	}
	r.Identical = broken == nil && r.Peace.Intact() && r.Chaos.Intact() && r.Peace.Digest == r.Chaos.Digest
	r.ChaosMet = want.level != chaos.Severe || r.Chaos.Faults.AtLeast(chaos.SevereMinimum())
	d.close()
	return errors.Join(a.printDemo(r, srv), r.err(broken))
}

// err is nil if perdure kept its promise.
func (r demoReport) err(broken error) error {
	switch {
	case broken != nil:
		return fmt.Errorf("the run under chaos: %w", broken)
	case !r.Identical:
		return errors.New("the run under chaos is not identical to the run in peace")
	}
	return nil
}

func describe(d *flights.Data) string {
	s := fmt.Sprintf("%s: %s flights, %s airports", d.Source, thousands(int64(len(d.Flights))), thousands(int64(len(d.Airports))))
	if n := len(d.Rejects); n > 0 {
		s += fmt.Sprintf(", %s lines rejected", thousands(int64(n)))
	}
	return s
}

func (a *app) say(format string, args ...any) { say(a.err, format, args...) }

// say writes a line of talk. That nobody hears it is no reason to stop.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
