package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/perdure/perdure/examples/flights"
	"github.com/perdure/perdure/internal/chaos"
)

// flightsRun is what "run flights" is told beside all that is told to any run.
type flightsRun struct {
	file  string
	naive bool
}

func (r *flightsRun) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.file, "flights", "", "of flights: another file of the shape of examples/flights/data/flights.csv")
	cmd.Flags().BoolVar(&r.naive, "naive", false, "of flights: as most programs do it: "+howNaive)
}

// runFlights runs the pipeline that is part of this program.
func (a *app) runFlights(ctx context.Context, f workFlags, own flightsRun) (err error) {
	metrics, err := newMetricsFile(f.metrics, "flights")
	if err != nil {
		return err
	}
	defer func() { err = metrics.write(err) }()
	data, err := readFlights(own.file)
	if err != nil {
		return err
	}
	d := newDisplay(a.err)
	ctx, stop, release := interrupts(ctx, d)
	defer release()
	m, err := newManager("flights")
	if err != nil {
		return err
	}
	trail, err := openRunTrail(ctx, f.audit, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trail.end()) }()
	panel, err := a.show(ctx, f.listen, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, panel.end(ctx, 0, stop)) }()
	srv, err := f.server.open(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	a.say("%s, %s", srv.version, describe(data))
	a.sayWhatIsSpared(f.chaos.level, srv)
	name := "flights_" + data.SHA256[:12]
	if own.naive {
		name += "_naive"
	}
	p, err := srv.place(ctx, name, false)
	if err != nil {
		return err
	}
	defer d.close()
	j := job{
		label: "flights", manager: m, shown: panel, file: metrics, trail: trail, place: p, server: srv, data: data, naive: own.naive,
		level: f.chaos.level, seed: f.chaos.seed, stop: stop, show: d.show,
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
}

// err is the fault of a run that ended well by its own account.
func (r runReport) err(already error) error {
	if already == nil && !r.Intact() {
		return fmt.Errorf("%s rows lost, %s doubled", thousands(r.Lost), thousands(r.Doubled))
	}
	return nil
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

// sayWhatIsSpared tells whoever asked for chaos on a server of theirs what it is.
func (a *app) sayWhatIsSpared(level chaos.Level, srv *server) {
	if level != chaos.Off && srv.cluster == nil {
		a.say("This server is not killed: only --embedded is. Connections are cut, and deadlocks are made.")
	}
}
