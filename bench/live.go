package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure/perdure/bench/figure"
	"github.com/perdure/perdure/bench/server"
)

// Live measures guarded work on the server at url against the bare pool.
func Live(ctx context.Context, url string, callers []int, rounds int, turn time.Duration) ([]figure.Section, error) {
	kinds, closed, err := server.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	defer closed()
	var out []figure.Section
	for _, k := range kinds {
		t := &figure.Table{Head: []string{"way", "callers", "calls/s", "of bare", "p50 µs", "p99 µs"}}
		for _, n := range callers {
			results, err := server.Compare(ctx, k, n, rounds, turn)
			if err != nil {
				return nil, err
			}
			for _, r := range results {
				t.Add(r.Name, fmt.Sprint(r.Callers), figure.Number(r.PerSecond), fmt.Sprintf("%.3f", r.Share),
					figure.Number(float64(r.P50)/1e3), figure.Number(float64(r.P99)/1e3))
			}
		}
		out = append(out, figure.Section{Title: "On a live server: " + k.Name, Table: t})
	}
	return out, nil
}
