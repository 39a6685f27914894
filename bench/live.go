package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/measure"
	"github.com/perdure/perdure/bench/server"
)

// Live measures guarded work on the server at url, whose postmaster is the process pid, against the bare pool.
func Live(ctx context.Context, url string, pid int, callers []int, rounds int, turn time.Duration) ([]figure.Section, error) {
	kinds, closed, err := server.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	defer closed()
	var out []figure.Section
	for _, k := range kinds {
		var failures []string
		t := &figure.Table{Head: []string{"way", "callers", "calls/s", "of bare", "p50 µs", "p99 µs", "CPU µs client", "server", "of bare", "failed"}}
		for _, n := range callers {
			results, err := server.Compare(ctx, k, server.Plan{
				Callers: n, Rounds: rounds, Turn: turn, Server: func() time.Duration { return measure.Tree(pid) },
			})
			if err != nil {
				return nil, err
			}
			for _, r := range results {
				t.Add(r.Name, strconv.Itoa(r.Callers), figure.Number(r.PerSecond), fmt.Sprintf("%.3f", r.Share),
					figure.Number(float64(r.P50)/1e3), figure.Number(float64(r.P99)/1e3),
					figure.Number(float64(r.Client)/1e3), figure.Number(float64(r.Server)/1e3), fmt.Sprintf("%.3f", r.Cost), strconv.Itoa(r.Failed))
				if r.Failure != nil {
					failures = append(failures, fmt.Sprintf("%s with %d callers: %v.", r.Name, n, r.Failure))
				}
			}
		}
		out = append(out, figure.Section{Title: "On a live server: " + k.Name, Text: strings.Join(failures, "\n"), Table: t})
	}
	return out, nil
}
