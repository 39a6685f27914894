package dashboard

import (
	"strconv"
	"time"

	"github.com/perdure/perdure/cmd/perdure/internal/observe"
)

// rate writes so many a second: "0", "0.3", "42", "1.2 k".
func rate(f float64) string {
	switch {
	case f < 0.05:
		return "0"
	case f < 9.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case f < 999.5:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f < 9_950:
		return strconv.FormatFloat(f/1000, 'f', 1, 64) + " k"
	case f < 999_500:
		return strconv.FormatFloat(f/1000, 'f', 0, 64) + " k"
	}
	return strconv.FormatFloat(f/1e6, 'f', 1, 64) + " M"
}

// amount writes a count, shortened from a hundred thousand on.
func amount(n uint64) string {
	if n < 100_000 {
		return observe.Thousands(n)
	}
	return rate(float64(n))
}

// whole writes a count that is never shortened.
func whole(n int) string { return observe.Thousands(uint64(max(n, 0))) }

// latency writes a duration, or a dash for none.
func latency(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return observe.Duration(d)
}

// percent writes a share with as many digits as it needs.
func percent(f float64) string {
	switch p := 100 * f; {
	case p == 0 || p >= 9.95:
		return strconv.FormatFloat(p, 'f', 0, 64) + " %"
	case p < 0.05:
		return "< 0.1 %"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	}
}

// clock is the time of day in UTC, for those without JavaScript.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// iso is the moment for machines, to the millisecond.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
