package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/internal/chaos"
)

func (a *app) runCommand() *cobra.Command {
	var (
		f     serverFlags
		level = chaos.Off
		seed  uint64
		file  string
		naive bool
		prom  string
		l     listenFlags
		own   fileRun
	)
	cmd := &cobra.Command{
		Use:   "run PIPELINE",
		Short: "Run a pipeline: a file in YAML, or flights",
		Long: "run runs a pipeline: a file FILE.yaml (docs/pipelines.md), or one that is part of this program: flights.\n\n" +
			"On a server of yours the tables stay, in a schema that is named after the input. The same command\n" +
			"again is the same run: what was done stays done, what was not is done.",
		Example:   "  perdure run pipeline.yaml --param day=2001-12-31 --database-url postgres://localhost/test\n  perdure run flights --database-url postgres://localhost/test\n  perdure run flights --embedded --chaos severe --seed 7 --output json",
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"flights"},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if isPipelineFile(args[0]) {
				return a.runFile(cmd, args[0], f, l, own, prom)
			}
			if args[0] != "flights" {
				return usageError("no pipeline is named %q: want a file FILE.yaml, or flights", args[0])
			}
			if err := checkLevel(level); err != nil {
				return err
			}
			metrics, err := newMetricsFile(prom, "flights")
			if err != nil {
				return err
			}
			defer func() { err = metrics.write(err) }()
			data, err := readFlights(file)
			if err != nil {
				return err
			}
			d := newDisplay(a.err)
			ctx, stop, release := interrupts(cmd.Context(), d)
			defer release()
			m, err := newManager("flights")
			if err != nil {
				return err
			}
			panel, err := a.show(ctx, l, m)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, panel.end(ctx, 0, stop)) }()
			srv, err := f.open(ctx, false)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, srv.Close()) }()
			a.say("%s, %s", srv.version, describe(data))
			if level != chaos.Off && srv.cluster == nil {
				a.say("This server is not killed: only --embedded is. Connections are cut, and deadlocks are made.")
			}
			name := "flights_" + data.SHA256[:12]
			if naive {
				name += "_naive"
			}
			p, err := srv.place(ctx, name, false)
			if err != nil {
				return err
			}
			defer d.close()
			j := job{
				label: "flights", manager: m, shown: panel, file: metrics, place: p, server: srv, data: data, naive: naive,
				level: level, seed: seed, stop: stop, show: d.show,
			}
			r, err := j.do(ctx)
			d.close()
			if r.Tables == nil { // nothing was begun, or nothing can be said
				return interruptedError(err, stop)
			}
			err = interruptedError(errors.Join(err, a.printRun(r), r.err(err)), stop)
			if e, ok := errors.AsType[*exitError](err); ok && e.code == exitInterrupted && srv.cluster == nil {
				e.hint = "the same command again: what was done stays done"
			}
			return err
		},
	}
	f.add(cmd)
	own.add(cmd)
	addMetricsFlag(cmd, &prom)
	l.add(cmd)
	cmd.Flags().StringVar((*string)(&level), "chaos", string(level), "off, mild or severe")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "of the chaos")
	cmd.Flags().StringVar(&file, "flights", "", "another file of the shape of examples/flights/data/flights.csv")
	cmd.Flags().BoolVar(&naive, "naive", false, "as most programs do it: "+howNaive)
	return cmd
}

// err is the fault of a run that ended well by its own account.
func (r runReport) err(already error) error {
	if already == nil && !r.Intact() {
		return fmt.Errorf("%s rows lost, %s doubled", thousands(r.Lost), thousands(r.Doubled))
	}
	return nil
}

func checkLevel(l chaos.Level) error {
	switch l {
	case chaos.Off, chaos.Mild, chaos.Severe:
		return nil
	}
	return usageError("--chaos %q: want off, mild or severe", string(l))
}

func readFlights(file string) (*flights.Data, error) {
	if file == "" {
		return flights.Embedded()
	}
	f, err := os.Open(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, &exitError{code: exitInvalid, err: err}
	}
	defer func() { _ = f.Close() }() // it was only read
	d, err := flights.Read(file, f)
	if err != nil {
		return nil, &exitError{code: exitInvalid, hint: "see examples/flights/data/flights.csv for its shape", err: err}
	}
	return d, nil
}
