package breaker

// detector decides by the configured rule when failures are too many. It is
// asked only while the breaker is closed, with the breaker's lock held.
type detector struct {
	seen   uint64 // the success counter at the last failure
	run    int32  // consecutive failures; Validate bounds what it is compared with
	halved bool   // the ramp: half the usual evidence is enough
	slow   bool   // the last crossing was by slow calls
	window *window
	cusum  cusum
}

func (d *detector) start(cfg *Config) {
	if cfg.Rule != Off && (cfg.Rule == Rate || cfg.SlowCall > 0) {
		d.window = newWindow(cfg.Window)
	}
	if cfg.Rule == Adaptive {
		d.cusum.start(cfg.FalseTripEvery)
	}
}

// reset forgets the evidence, not the baseline. halved gives the evidence a
// head start, so that trouble that is not over is noticed sooner.
func (d *detector) reset(cfg *Config, now int64, successes uint64, halved bool) {
	d.seen, d.run, d.halved, d.slow = successes, 0, halved, false
	if halved {
		d.run = int32(cfg.ConsecutiveFailures / 2) //nolint:gosec // Validate bounds it
	}
	if d.window != nil {
		d.window.clear()
	}
	if cfg.Rule == Adaptive {
		d.cusum.reset(now, halved)
	}
}

// failure takes in one failure after the successes counted so far, and says whether the threshold is crossed.
func (d *detector) failure(cfg *Config, now int64, successes uint64, slow bool) bool {
	n := successes - d.seen
	d.seen = successes
	if n > 0 {
		d.run = 0
	}
	if int(d.run) < cfg.ConsecutiveFailures {
		d.run++
	}
	if d.window != nil {
		d.window.add(now, true, slow)
	}
	switch cfg.Rule {
	case Adaptive:
		return d.cusum.failure(now, n) || d.tooSlow(cfg)
	case Consecutive:
		return int(d.run) >= cfg.ConsecutiveFailures || d.tooSlow(cfg)
	case Rate:
		return d.window.failureRate(d.minCalls(cfg)) >= cfg.FailureRate || d.tooSlow(cfg)
	default:
		return false
	}
}

// success takes in a success under a rule that needs each of them in its window.
func (d *detector) success(cfg *Config, now int64, slow bool) bool {
	d.window.add(now, false, slow)
	return slow && d.tooSlow(cfg)
}

func (d *detector) tooSlow(cfg *Config) bool {
	d.slow = cfg.SlowCall > 0 && d.window.slowRate(d.minCalls(cfg)) >= cfg.SlowCallRate
	return d.slow
}

func (d *detector) minCalls(cfg *Config) int {
	if d.halved {
		return (cfg.MinCalls + 1) / 2
	}
	return cfg.MinCalls
}

// evidence describes the last crossing.
func (d *detector) evidence(cfg *Config) Evidence {
	ev := Evidence{Rule: cfg.Rule}
	switch {
	case d.slow:
		ev.Slow, ev.Score, ev.Threshold = true, d.window.slowRate(1), cfg.SlowCallRate
	case cfg.Rule == Adaptive:
		ev.Score, ev.Threshold, ev.Baseline = d.cusum.score, d.cusum.limit, d.cusum.healthy
	case cfg.Rule == Consecutive:
		ev.Score, ev.Threshold = float64(d.run), float64(cfg.ConsecutiveFailures)
	case cfg.Rule == Rate:
		ev.Score, ev.Threshold = d.window.failureRate(1), cfg.FailureRate
	}
	return ev
}
